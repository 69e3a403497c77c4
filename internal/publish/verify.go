package publish

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"dnsgate/internal/records"

	"github.com/miekg/dns"
)

const (
	// maxVerified is how many hosts of a round are asked for.
	maxVerified = 100

	// verifiers is how many of them at once.
	verifiers = 8

	// secondPatience is for a host that was not served in time already: it
	// should not hold up the others again.
	secondPatience = time.Second

	// maxQuery is how long one answer may take before it is asked for again.
	maxQuery = time.Second
)

// verifier asks a name server for what was published.
type verifier struct {
	server  string // host:port
	timeout time.Duration
	failed  map[records.Name]bool // were not served in time
}

func newVerifier(server string, timeout time.Duration) (*verifier, error) {
	if _, _, err := net.SplitHostPort(server); err != nil {
		return nil, fmt.Errorf("verify is %q, not an address and a port, such as 127.0.0.1:53", server)
	}
	return &verifier{server, timeout, make(map[records.Name]bool)}, nil
}

// check returns HostErrors with refused, and those of hosts that the server
// does not serve as they are stored, within the timeout. Of many hosts it asks
// for some.
func (v *verifier) check(ctx context.Context, hosts []records.Host, refused HostErrors) error {
	asked := hosts[:min(len(hosts), maxVerified)]
	errs := make([]error, len(asked))
	start := time.Now()
	each(len(asked), verifiers, func(i int) {
		patience := v.timeout
		if v.failed[asked[i].Name] {
			patience = min(patience, secondPatience)
		}
		ctx, cancel := context.WithDeadline(ctx, start.Add(patience))
		defer cancel()
		if refused[asked[i].Name] == nil {
			errs[i] = v.host(ctx, asked[i])
		}
	})
	all := make(HostErrors)
	for i, err := range errs {
		delete(v.failed, asked[i].Name)
		if err != nil {
			v.failed[asked[i].Name] = true
			all[asked[i].Name] = err
		}
	}
	maps.Copy(all, refused)
	if len(all) > 0 {
		return all
	}
	return nil
}

// host asks until the server serves h as it is stored.
func (v *verifier) host(ctx context.Context, h records.Host) error {
	types := []records.Type{records.A, records.AAAA}
	if h.Name.IsChallenge() {
		types = []records.Type{records.TXT}
	}
	for _, t := range types {
		if err := v.set(ctx, h, t); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) set(ctx context.Context, h records.Host, t records.Type) error {
	var stored []string
	for _, r := range h.Records {
		if r.Type() == t {
			stored = append(stored, r.Value())
		}
	}
	slices.Sort(stored)
	last := errors.New("does not answer")
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		served, err := v.ask(ctx, h.Name, t)
		if err == nil && (slices.Equal(served, stored) || len(stored) == 0 && v.wildcard(ctx, h.Name, t, served)) {
			return nil
		}
		if err == nil {
			last = fmt.Errorf("answers %s for %s %s, stored is %s", list(served), h.Name, t, list(stored))
		} else if ctx.Err() == nil {
			last = fmt.Errorf("%s %s: %w", h.Name, t, err)
		}
		if sleep(ctx, wait); ctx.Err() != nil {
			return fmt.Errorf("%s %w", v.server, last)
		}
	}
}

// wildcard reports whether served is what the server says of any name beside
// this one: then the name itself is gone.
func (v *verifier) wildcard(ctx context.Context, name records.Name, t records.Type, served []string) bool {
	_, parent, _ := strings.Cut(string(name), ".")
	other := "dnsgate-" + strings.ToLower(rand.Text()) + "." + parent
	if len(other) > records.MaxName {
		return false
	}
	same, err := v.ask(ctx, records.Name(other), t)
	return err == nil && slices.Equal(same, served)
}

func list(values []string) string {
	if len(values) == 0 {
		return "nothing"
	}
	return strings.Join(values, ",")
}

// ask returns the values of one record set, sorted; none if the name or the
// type does not exist.
func (v *verifier) ask(ctx context.Context, name records.Name, t records.Type) ([]string, error) {
	query := new(dns.Msg)
	query.SetQuestion(dns.Fqdn(string(name)), uint16(t))
	query.RecursionDesired = false
	reply, err := v.exchange(ctx, query, "udp")
	if err == nil && reply.Truncated {
		reply, err = v.exchange(ctx, query, "tcp")
	}
	if err != nil {
		return nil, err
	}
	if reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError {
		return nil, fmt.Errorf("it answers %s", dns.RcodeToString[reply.Rcode])
	}
	values := []string{}
	for _, rr := range reply.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			values = append(values, rr.A.String())
		case *dns.AAAA:
			values = append(values, rr.AAAA.String())
		case *dns.TXT:
			values = append(values, strings.Join(rr.Txt, ""))
		}
	}
	slices.Sort(values)
	return values, nil
}

func (v *verifier) exchange(ctx context.Context, query *dns.Msg, network string) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, maxQuery)
	defer cancel()
	client := dns.Client{Net: network, Timeout: maxQuery}
	reply, _, err := client.ExchangeContext(ctx, query, v.server)
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // without the ports of both sides
	}
	if err != nil {
		return nil, fmt.Errorf("no answer over %s: %w", network, err)
	}
	return reply, nil
}
