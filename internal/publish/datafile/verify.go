package datafile

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"dnsgate/internal/pause"
	"dnsgate/internal/publish"
	"dnsgate/internal/records"

	"github.com/miekg/dns"
)

const (
	// verifiers is how many hosts of one command are asked for at once.
	verifiers = 8

	// maxQuery is how long one answer may take before it is asked for again.
	maxQuery = time.Second

	// maxSaid is how many values of an answer an error shows, and maxValue how
	// many bytes of each.
	maxSaid  = 8
	maxValue = 64
)

// Verifier is a publish.Verifier that asks a name server over DNS. Each command asks
// for itself while it waits: a host that is not served holds nobody else up.
type Verifier struct {
	server  string // host:port
	timeout time.Duration
	hosts   func(context.Context, []records.Name) ([]records.Host, error)
}

// NewVerifier makes a Verifier of server, HOST:PORT, which has timeout to serve a host
// as stored. hosts reads the stored state.
func NewVerifier(server string, timeout time.Duration, hosts func(context.Context, []records.Name) ([]records.Host, error)) (*Verifier, error) {
	if _, _, err := net.SplitHostPort(server); err != nil {
		return nil, fmt.Errorf("verify is %q, not an address and a port, such as 127.0.0.1:53", server)
	}
	return &Verifier{server, timeout, hosts}, nil
}

// Check returns once the server serves all of names as they are stored, or
// publish.HostErrors, a *publish.NotServedError for each name that it does not.
func (v *Verifier) Check(ctx context.Context, names []records.Name) error {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	errs := make([]error, len(names))
	each(len(names), verifiers, func(i int) { errs[i] = v.host(ctx, names[i]) })
	notServed := make(publish.HostErrors)
	for i, err := range errs {
		if err != nil {
			notServed[names[i]] = err
		}
	}
	if len(notServed) > 0 {
		return notServed
	}
	return nil
}

// host asks until the server serves a name as it is stored.
func (v *Verifier) host(ctx context.Context, name records.Name) error {
	types := []records.Type{records.A, records.AAAA}
	if name.IsChallenge() {
		types = []records.Type{records.TXT}
	}
	for _, t := range types {
		if err := v.set(ctx, name, t); err != nil {
			return err
		}
	}
	return nil
}

func (v *Verifier) set(ctx context.Context, name records.Name, t records.Type) error {
	last := errors.New("does not answer")
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		hosts, err := v.hosts(ctx, []records.Name{name})
		if err != nil {
			return fmt.Errorf("reading the store: %w", err)
		}
		stored := setOf(hosts[0], t)
		served, err := v.ask(ctx, name, t)
		if err == nil && (slices.Equal(served, stored) || len(stored) == 0 && v.wildcard(ctx, name, t, served)) {
			return nil
		}
		if err == nil {
			last = fmt.Errorf("answers %s for %s %s, stored is %s", list(served), name, t, list(stored))
		} else if ctx.Err() == nil {
			last = fmt.Errorf("%s %s: %w", name, t, err)
		}
		if pause.For(ctx, wait); ctx.Err() != nil {
			return &publish.NotServedError{Host: hosts[0], Err: fmt.Errorf("%s %w", v.server, last)}
		}
	}
}

// setOf returns the values of one record set of h, sorted.
func setOf(h records.Host, t records.Type) []string {
	var values []string
	for _, r := range h.Records {
		if r.Type() == t {
			values = append(values, r.Value())
		}
	}
	slices.Sort(values)
	return values
}

// wildcard reports whether served is also the server's answer for any sibling of this
// name: then the name itself is gone.
func (v *Verifier) wildcard(ctx context.Context, name records.Name, t records.Type, served []string) bool {
	_, parent, _ := strings.Cut(string(name), ".")
	other := "dnsgate-" + strings.ToLower(rand.Text()) + "." + parent
	if len(other) > records.MaxName {
		return false
	}
	same, err := v.ask(ctx, records.Name(other), t)
	return err == nil && slices.Equal(same, served)
}

// list shows values that may come from anybody.
func list(values []string) string {
	if len(values) == 0 {
		return "nothing"
	}
	said := make([]string, 0, maxSaid+1)
	for _, value := range values[:min(len(values), maxSaid)] {
		if len(value) > maxValue {
			value = value[:maxValue] + "..."
		}
		if quoted := strconv.QuoteToASCII(value); quoted != `"`+value+`"` {
			value = quoted
		}
		said = append(said, value)
	}
	if more := len(values) - maxSaid; more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(said, ",")
}

// ask returns the values of one record set, sorted; none if the name or the
// type does not exist.
func (v *Verifier) ask(ctx context.Context, name records.Name, t records.Type) ([]string, error) {
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
	if err := answers(reply, query); err != nil {
		return nil, err
	}
	return answered(reply, query.Question[0].Name), nil
}

// answers is an error unless reply answers query, with authority. An answer that
// anybody else could have sent proves nothing.
func answers(reply, query *dns.Msg) error {
	asked := query.Question[0]
	switch {
	case !reply.Response || reply.Opcode != dns.OpcodeQuery || reply.Id != query.Id:
		return errors.New("what it sends is no answer to this question")
	case len(reply.Question) != 1 || !strings.EqualFold(reply.Question[0].Name, asked.Name) ||
		reply.Question[0].Qtype != asked.Qtype || reply.Question[0].Qclass != asked.Qclass:
		return errors.New("it answers another question")
	case reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
		return fmt.Errorf("it answers %s", cmp.Or(dns.RcodeToString[reply.Rcode], strconv.Itoa(reply.Rcode)))
	case !reply.Authoritative:
		return errors.New("it has no authority for the name: the zone is missing there, or the name is delegated away")
	}
	return nil
}

// answered returns the values of the record set of owner, sorted. Aliases are
// followed.
func answered(reply *dns.Msg, owner string) []string {
	values := []string{}
	for _, rr := range reply.Answer {
		h := rr.Header()
		if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, owner) {
			continue
		}
		switch rr := rr.(type) {
		case *dns.CNAME:
			owner = rr.Target
		case *dns.A:
			values = append(values, rr.A.String())
		case *dns.AAAA:
			values = append(values, rr.AAAA.String())
		case *dns.TXT:
			values = append(values, strings.Join(rr.Txt, ""))
		}
	}
	slices.Sort(values)
	return values
}

func (v *Verifier) exchange(ctx context.Context, query *dns.Msg, network string) (*dns.Msg, error) {
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
