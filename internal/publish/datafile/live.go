package datafile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	// questions is how often a server is asked before it counts as silent: one
	// packet may be lost.
	questions = 3

	// maxSilent is the number of zones without an answer after which a server counts as
	// away. Fewer silent zones may mean a server that says nothing about zones that it
	// does not have, as tinydns does.
	maxSilent = 8
)

// Live asks server, HOST:PORT, for the SOA of each zone and returns the faults. It
// changes nothing.
func (z *Zones) Live(ctx context.Context, server string) (faults []error) {
	zones := z.cuts.Zones(time.Now())
	if len(zones) == 0 {
		return []error{fmt.Errorf("name server %s: tinydns has no zone that it could be asked for", server)}
	}
	v := &Verifier{server: server}
	errs := make([]error, len(zones))
	var silent atomic.Int64
	each(len(zones), verifiers, func(i int) {
		if silent.Load() >= maxSilent {
			return
		}
		if errs[i] = v.hasZone(ctx, zones[i]); errors.As(errs[i], new(noAnswer)) {
			silent.Add(1)
		}
	})
	told := false
	for i, err := range errs {
		switch {
		case err == nil || told && errors.As(err, new(noAnswer)):
			continue
		case errors.As(err, new(noAnswer)):
			told = true // one of these stands for all
			if silent.Load() > 1 {
				err = fmt.Errorf("%w; nor for others", err)
			}
		}
		faults = append(faults, fmt.Errorf("name server %s: zone %s: %w", server, zones[i], err))
	}
	return faults
}

// hasZone is an error unless the server answers for zone with authority.
func (v *Verifier) hasZone(ctx context.Context, zone string) error {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(zone), dns.TypeSOA)
	query.RecursionDesired = false
	var reply *dns.Msg
	var err error
	for range questions {
		if reply, err = v.exchange(ctx, query, "udp"); err == nil {
			break
		}
	}
	if err != nil {
		return noAnswer{err}
	}
	if err := answers(reply, query); err != nil {
		return err
	}
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype == dns.TypeSOA && strings.EqualFold(rr.Header().Name, dns.Fqdn(zone)) {
			return nil
		}
	}
	return errors.New("it answers, and has no SOA of it")
}

// noAnswer is an error of a server that does not answer at all.
type noAnswer struct{ error }

func (e noAnswer) Unwrap() error { return e.error }
