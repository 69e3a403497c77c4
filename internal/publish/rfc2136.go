package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"dnsgate/internal/records"
)

// RFC2136 publishes hosts in one zone of a name server by dynamic updates
// (RFC 2136) signed with TSIG (RFC 8945). It trusts the server only as far as
// an answer's signature does, and sends nothing unsigned.
//
// Each host's record sets are replaced whole: A and AAAA at a hostname or a
// wildcard, TXT at an ACME challenge name, and of these only the types that it
// has or ever had, so that a key which may change A alone can do that. Other
// types at these names, and other names, are never touched: the zone may hold
// other people's records. For the same reason names that the store no longer
// knows stay as they are.
//
// Updates travel over TCP only. A command's hosts rarely fit into a UDP
// packet, and a UDP packet that was sent twice, or late, would bring back an
// address that has been replaced since.
type RFC2136 struct {
	server string
	zone   string
	inner  []string // configured zones below this one; their names are theirs
	twin   bool     // another entry has the same zone
	key    keyFile
	clock  func() time.Time
	log    *slog.Logger
	stream stream

	perMessage int // hosts; at most hostsPerMessage, fewer where the server is slow
}

// RFC2136Options says where and how to send updates.
type RFC2136Options struct {
	Server         string           // "host:port" of the zone's primary
	Zone           string           // the zone's apex
	Zones          []string         // the zones of all entries, this one included: the longest suffix gets a name
	TSIGName       string           // the key's name; may be left out when TSIGSecretFile holds a key statement
	TSIGAlgorithm  string           // hmac-sha256, hmac-sha384 or hmac-sha512; empty: the key statement's, else hmac-sha256
	TSIGSecretFile string           // the secret in base64, or a key statement as tsig-keygen(8) writes it; read at each Publish
	Timeout        time.Duration    // of one exchange with the server; 0: 5 s
	Clock          func() time.Time // signs the updates; nil: time.Now
	Logger         *slog.Logger     // nil: slog.Default
}

// hostsPerMessage bounds an UPDATE: beyond it a server gains little (BIND 9.18:
// 26 times as many updates per second as one by one) and holds its lock longer.
const hostsPerMessage = 200

// NewRFC2136 checks the options and reads the key; it sends nothing yet.
func NewRFC2136(opts RFC2136Options) (*RFC2136, error) {
	if _, port, err := net.SplitHostPort(opts.Server); err != nil || port == "" {
		return nil, fmt.Errorf("server %q: not a host and port such as 127.0.0.1:53", opts.Server)
	}
	zone, err := domainName(opts.Zone)
	if err != nil {
		return nil, fmt.Errorf("zone %q: %w", opts.Zone, err)
	}
	r := &RFC2136{
		server: opts.Server,
		zone:   zone,
		clock:  opts.Clock,
		log:    opts.Logger,
		stream: stream{server: opts.Server, timeout: cmp.Or(opts.Timeout, 5*time.Second)},

		perMessage: hostsPerMessage,
	}
	if r.clock == nil {
		r.clock = time.Now
	}
	if r.log == nil {
		r.log = slog.Default()
	}
	if err := r.placeAmong(opts.Zones); err != nil {
		return nil, err
	}
	if r.key, err = newKeyFile(opts.TSIGSecretFile, opts.TSIGName, opts.TSIGAlgorithm); err != nil {
		return nil, err
	}
	_, err = r.key.read()
	return r, err
}

// placeAmong notes which of the configured zones matter for r's own.
func (r *RFC2136) placeAmong(zones []string) error {
	same := 0
	for _, z := range zones {
		zone, err := domainName(z)
		if err != nil {
			return fmt.Errorf("zone %q: %w", z, err)
		}
		switch {
		case zone == r.zone:
			same++
		case within(zone, r.zone):
			r.inner = append(r.inner, zone)
		}
	}
	r.twin = same > 1
	return nil
}

// Name is "rfc2136 ZONE", with the server where two entries share the zone.
func (r *RFC2136) Name() string {
	if r.twin {
		return "rfc2136 " + r.zone + " at " + r.server
	}
	return "rfc2136 " + r.zone
}

// Covers reports whether name belongs to r's zone, and to no configured zone
// below it.
func (r *RFC2136) Covers(name records.Name) bool {
	return within(string(name), r.zone) &&
		!slices.ContainsFunc(r.inner, func(zone string) bool { return within(string(name), zone) })
}

// Below reports whether r's zone is below suffix.
func (r *RFC2136) Below(suffix records.Name) bool { return within(r.zone, string(suffix)) }

// within reports whether name is the apex of zone or below it.
func within(name, zone string) bool {
	above, ok := strings.CutSuffix(name, zone)
	return ok && (above == "" || strings.HasSuffix(above, "."))
}

// Close ends the connection that Publish keeps to the server. It must not be
// called during Publish.
func (r *RFC2136) Close() error {
	r.stream.close()
	return nil
}

// Publish replaces the record sets of hosts, whole or not. Up to 200 hosts
// travel in one UPDATE, which the server applies whole or not at all; more
// take several, and the hosts of one transaction stay together as far as one
// message holds them (64 KiB) and the server keeps up. When the server refuses
// a message, the hosts that it refuses are found and reported as HostErrors,
// and the others published. Record sets of types that it is not known whether
// a host ever had are removed after that, in messages of their own, as far as
// the server lets the key do so.
//
// An update that is lost on the way is an error; sending it again is harmless.
func (r *RFC2136) Publish(ctx context.Context, hosts []records.Host, whole bool) error {
	if len(hosts) == 0 {
		return nil
	}
	key, err := r.key.read()
	if err != nil {
		return err
	}
	p := publication{target: r, key: key, hosts: withTypes(hosts), refused: HostErrors{}}
	err = p.sendAll(ctx, p.hosts, p.refuse)
	for _, t := range ourTypes {
		if err == nil {
			err = p.sendAll(ctx, p.removals(hosts, t), p.mayNot)
		}
	}
	if err != nil {
		return fmt.Errorf("zone %s at name server %s: %w", r.zone, r.server, err)
	}
	if len(p.refused) > 0 {
		return p.refused
	}
	return nil
}

// publication is one Publish on its way.
type publication struct {
	target   *RFC2136
	key      tsigKey
	hosts    []records.Host // that have or had anything
	accepted bool           // at least one message was
	refused  HostErrors
}

// sendAll sends hosts, those of one transaction, which share a revision,
// together where there is a choice; single is called for each that is turned
// down alone. On a long way it puts up with a timeout that comes after
// progress, so that not all begins again.
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

// turnedDown is told of a host that could not be sent, or was not taken.
type turnedDown func(records.Host, error)

// send publishes hosts in one message. One that is too long, or that the
// server refuses for what is in it, is halved until the hosts at fault are
// alone; these it gives to single. It returns any other error.
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

// mayNot stands in for refuse where it is not known whether host ever had what
// is to be removed: a key that may not change that type has never set it.
func (p *publication) mayNot(host records.Host, err error) {
	if !isRefusal(err) {
		p.refuse(host, err)
	}
}

// probes is how many hosts of a large batch are tried alone before the server
// is taken to refuse all.
const probes = 32

// probe keeps a key or zone that is set up wrongly from costing two messages
// for each of a million hosts: as long as the server took nothing, it tries
// some hosts at random, and returns an error when all of these are refused
// too. Where few hosts are permitted this errs, but not for ever: the next
// Publish tries others.
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

// exchange sends one UPDATE for hosts and judges the answer.
func (r *RFC2136) exchange(ctx context.Context, key tsigKey, hosts []records.Host) error {
	request, err := newUpdate(r.zone, hosts)
	if err != nil {
		return err
	}
	signed, err := request.sign(key, r.clock())
	if err != nil {
		return err
	}
	began := time.Now()
	answer, err := r.stream.exchange(ctx, signed)
	r.adapt(len(hosts), began, err)
	if err != nil {
		return err
	}
	err = request.judge(answer, key)
	var unjudged unjudgedError
	if errors.As(err, &unjudged) {
		r.stream.close()
	}
	return err
}

// adapt makes messages shorter when one of n hosts takes most of the timeout,
// and longer again when they are quick. To replace a record set, PowerDNS
// reads its whole zone: with 10,000 hosts there, 200 of them take too long.
func (r *RFC2136) adapt(n int, began time.Time, err error) {
	took, unanswered := time.Since(began), r.stream.sent.After(began)
	switch {
	case n > 1 && (unanswered || err == nil && took > r.stream.timeout/2):
		r.perMessage = max(min(n, r.perMessage)/2, 1)
		r.log.Warn("name server is slow; updates become shorter",
			"target", r.Name(), "hosts", n, "took", took, "next", r.perMessage)
	case err == nil && took < r.stream.timeout/8 && n >= r.perMessage:
		r.perMessage = min(2*r.perMessage, hostsPerMessage)
	}
}

// hostError is an error that hosts of the message may have caused, rather
// than the way to the server.
type hostError struct{ error }

func (e hostError) Unwrap() error { return e.error }

func concernsHosts(err error) bool {
	var h hostError
	return errors.As(err, &h)
}

// isRefusal reports whether the server, not dnsgate itself, turned a message
// down.
func isRefusal(err error) bool {
	var code rcode
	var tsig tsigError
	return errors.As(err, &code) || errors.As(err, &tsig)
}

// domainName checks the name of a zone or of a key, and returns it in lower
// case and without the final dot.
func domainName(s string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if len(name) > records.MaxName {
		return "", fmt.Errorf("longer than %d bytes", records.MaxName)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > records.MaxLabel {
			return "", fmt.Errorf("not a domain name: a label has %d bytes, not 1 to %d", len(label), records.MaxLabel)
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_/+") != "" {
			return "", errors.New("not a domain name: only letters, digits and -_/+ may stand in a label")
		}
	}
	return name, nil
}
