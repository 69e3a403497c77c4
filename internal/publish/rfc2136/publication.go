package rfc2136

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
)

// publication is one call of Publish.
type publication struct {
	target   *Target
	key      tsigKey
	hosts    []records.Host // that have or had anything
	accepted bool           // at least one message was
	refused  publish.HostErrors
}

// sendAll sends hosts, and keeps the hosts of one transaction, which share a revision,
// together where it can. It calls single for each host that is refused alone. After
// some progress it accepts a timeout, so that not everything starts over.
func (p *publication) sendAll(ctx context.Context, hosts []records.Host, single turnedDown) error {
	hosts = slices.Clone(hosts)
	slices.SortStableFunc(hosts, func(a, b records.Host) int { return cmp.Compare(a.Revision, b.Revision) })
	for progress := false; len(hosts) > 0; {
		n := messageLength(hosts, p.target.perMessage)
		err := p.send(ctx, hosts[:n], single)
		switch {
		case err == nil:
			hosts, progress = hosts[n:], true
		case progress && errors.Is(err, os.ErrDeadlineExceeded):
			progress = false
		default:
			return err
		}
	}
	return nil
}

// messageLength is how many of hosts, sorted by revision, go into the next
// message of at most limit: no transaction is split unless it is longer.
func messageLength(hosts []records.Host, limit int) int {
	if len(hosts) <= limit {
		return len(hosts)
	}
	for n := limit; n > 0; n-- {
		if hosts[n-1].Revision != hosts[n].Revision {
			return n
		}
	}
	return limit
}

// turnedDown is called with a host that could not be sent, or was refused.
type turnedDown func(records.Host, error)

// send publishes hosts in one message. It halves a message that is too long, or that
// the server refuses for its content, until the hosts at fault are alone, and gives
// these to single. It returns any other error.
func (p *publication) send(ctx context.Context, hosts []records.Host, single turnedDown) error {
	err := p.target.exchange(ctx, p.key, hosts)
	switch {
	case err == nil:
		p.accepted = true
		return nil
	case !concernsHosts(err):
		return err
	case len(hosts) == 1:
		single(hosts[0], err)
		return nil
	}
	if isRefusal(err) {
		if err := p.probe(ctx, err); err != nil {
			return err
		}
	}
	half := len(hosts) / 2
	if err := p.send(ctx, hosts[:half], single); err != nil {
		return err
	}
	return p.send(ctx, hosts[half:], single)
}

func (p *publication) refuse(host records.Host, err error) {
	if len(p.refused) == 0 && len(p.hosts) > hostsPerMessage { // the rest takes a while
		p.target.log.Warn("name server refuses a host", "target", p.target.Name(), "host", host.Name, "err", err)
	}
	p.refused[host.Name] = &notTakenError{p.target.zone, p.target.server, host, err}
}

// mayNot stands in for refuse where it is not known whether host ever had the removed
// type: a key that may not change that type has never set it.
func (p *publication) mayNot(host records.Host, err error) {
	if !isRefusal(err) {
		p.refuse(host, err)
	}
}

// probes is how many hosts of a large batch are tried alone before the server
// is taken to refuse all.
const probes = 32

// probe keeps a wrong key or zone from costing two messages for each of a million
// hosts. As long as the server has taken nothing, it tries some hosts at random, and
// returns an error if all of these are refused too. If only few hosts are permitted
// this is wrong, but not for ever: the next Publish tries others.
func (p *publication) probe(ctx context.Context, refusal error) error {
	if p.accepted || len(p.hosts) <= hostsPerMessage {
		return nil
	}
	for range probes {
		host := p.hosts[rand.IntN(len(p.hosts))]
		err := p.target.exchange(ctx, p.key, []records.Host{host})
		if err == nil {
			p.accepted = true
			return nil
		}
		if !concernsHosts(err) {
			return err
		}
	}
	return fmt.Errorf("%w (and so %d hosts alone, taken at random out of %d)", refusal, probes, len(p.hosts))
}
