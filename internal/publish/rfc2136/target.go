// Package rfc2136 publishes to name servers by signed dynamic updates. It trusts
// a server's answer only as far as the answer's signature goes.
package rfc2136

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
)

// Target publishes hosts in one zone of a name server by dynamic updates
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
type Target struct {
	server string
	zone   string
	inner  []string // configured zones below this one; their names are theirs
	twin   bool     // another entry has the same zone
	key    keyFile
	clock  func() time.Time
	before func(longest time.Duration) error
	log    *slog.Logger
	stream stream

	perMessage int // hosts; at most hostsPerMessage, fewer where the server is slow
}

// Options says where and how to send updates.
type Options struct {
	Server         string           // "host:port" of the zone's primary
	Zone           string           // the zone's apex
	Zones          []string         // the zones of all entries, this one included: the longest suffix gets a name
	TSIGName       string           // the key's name; may be left out when TSIGSecretFile holds a key statement
	TSIGAlgorithm  string           // hmac-sha256, hmac-sha384 or hmac-sha512; empty: the key statement's, else hmac-sha256
	TSIGSecretFile string           // the secret in base64, or a key statement as tsig-keygen(8) writes it; read at each Publish
	Timeout        time.Duration    // of one exchange with the server; 0: 5 s
	Clock          func() time.Time // signs the updates; nil: time.Now
	Logger         *slog.Logger     // nil: slog.Default

	// Before is called before each message, with the time that it may take at
	// most; an error keeps it from being sent. nil: all may be.
	Before func(longest time.Duration) error
}

// hostsPerMessage bounds an UPDATE: beyond it a server gains little (BIND 9.18:
// 26 times as many updates per second as one by one) and holds its lock longer.
const hostsPerMessage = 200

// New checks the options and reads the key; it sends nothing yet.
func New(opts Options) (*Target, error) {
	if _, port, err := net.SplitHostPort(opts.Server); err != nil || port == "" {
		return nil, fmt.Errorf("server %q: not a host and port such as 127.0.0.1:53", opts.Server)
	}
	zone, err := domainName(opts.Zone)
	if err != nil {
		return nil, fmt.Errorf("zone %q: %w", opts.Zone, err)
	}
	r := &Target{
		server: opts.Server,
		zone:   zone,
		clock:  opts.Clock,
		before: opts.Before,
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

// placeAmong notes which of the other configured zones lie below r's own.
func (r *Target) placeAmong(zones []string) error {
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
func (r *Target) Name() string {
	if r.twin {
		return "rfc2136 " + r.zone + " at " + r.server
	}
	return "rfc2136 " + r.zone
}

// Covers reports whether name belongs to r's zone, and to no configured zone
// below it.
func (r *Target) Covers(name records.Name) bool {
	return within(string(name), r.zone) &&
		!slices.ContainsFunc(r.inner, func(zone string) bool { return within(string(name), zone) })
}

// Below reports whether r's zone is below suffix.
func (r *Target) Below(suffix records.Name) bool { return within(r.zone, string(suffix)) }

// within reports whether name is the apex of zone or below it.
func within(name, zone string) bool {
	above, ok := strings.CutSuffix(name, zone)
	return ok && (above == "" || strings.HasSuffix(above, "."))
}

// Close ends the connection that Publish keeps to the server. It must not be
// called during Publish.
func (r *Target) Close() error {
	r.stream.close()
	return nil
}

// Publish replaces the record sets of hosts, whole or not. Up to 200 hosts
// travel in one UPDATE, which the server applies whole or not at all; more
// take several, and the hosts of one transaction stay together as far as one
// message holds them (64 KiB) and the server keeps up. When the server refuses
// a message, the hosts that it refuses are found and reported as publish.HostErrors,
// and the others published. Record sets of types that it is not known whether
// a host ever had are removed after that, in messages of their own, as far as
// the server lets the key do so.
//
// An update that is lost on the way is an error; sending it again is harmless.
func (r *Target) Publish(ctx context.Context, hosts []records.Host, whole bool) error {
	if len(hosts) == 0 {
		return nil
	}
	key, err := r.key.read()
	if err != nil {
		return err
	}
	p := publication{target: r, key: key, hosts: withTypes(hosts), refused: publish.HostErrors{}}
	err = p.sendAll(ctx, p.hosts, p.refuse)
	for _, t := range records.Types {
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

// exchange sends one UPDATE for hosts and judges the answer.
func (r *Target) exchange(ctx context.Context, key tsigKey, hosts []records.Host) error {
	request, err := newUpdate(r.zone, hosts)
	if err != nil {
		return err
	}
	signed, err := request.sign(key, r.clock())
	if err != nil {
		return err
	}
	if r.before != nil {
		if err := r.before(r.stream.timeout); err != nil {
			return err
		}
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
func (r *Target) adapt(n int, began time.Time, err error) {
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
