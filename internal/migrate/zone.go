package migrate

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"dnsgate/internal/records"

	"github.com/miekg/dns"
)

// Key signs a zone transfer (RFC 8945). The zero Key signs nothing.
type Key struct {
	Name, Algorithm, Secret string // Secret in base64
	File                    string // where it is from
}

// Zone reads the addresses of a zone from server, "host:port", by AXFR (RFC
// 5936), at most maxTransfer bytes in maxTransferTime, and gives up when ctx
// ends. With a key, answers that it does not sign are refused.
func Zone(ctx context.Context, server, zone string, key Key) (*Setup, error) {
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(server, "53")
	}
	apex := strings.ToLower(strings.TrimSuffix(zone, "."))
	if _, ok := dns.IsDomainName(apex); !ok || apex == "" {
		return nil, fmt.Errorf("%q is not a zone", zone)
	}
	failed := func(err error) error { return fmt.Errorf("transferring %s from %s: %w", apex, server, err) }
	transfer := &dns.Transfer{ReadTimeout: 30 * time.Second, WriteTimeout: 10 * time.Second}
	query := new(dns.Msg)
	query.SetAxfr(dns.Fqdn(apex))
	if key.Name != "" {
		transfer.TsigSecret = map[string]string{dns.CanonicalName(key.Name): key.Secret}
		query.SetTsig(dns.CanonicalName(key.Name), dns.Fqdn(key.Algorithm), 300, time.Now().Unix())
	}
	ctx, cancel := context.WithTimeout(ctx, maxTransferTime)
	defer cancel()
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, failed(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	transfer.Conn = &dns.Conn{Conn: &boundedConn{Conn: conn, left: maxTransfer}}
	envelopes, err := transfer.In(query, server)
	if err != nil {
		return nil, failed(err)
	}
	c := zoneCollector{zone: apex}
	for e := range envelopes {
		if err == nil { // else only wait for the end
			err = c.take(e)
		}
		if err != nil {
			transfer.Close()
		}
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("given up after %d records: %w", c.n, ctx.Err())
	}
	if err != nil {
		return nil, failed(err)
	}
	return c.setup(zoneConfig(server, apex, key)), nil
}

// The bounds of a transfer.
const (
	maxTransfer     = 2 << 30    // bytes
	maxRecords      = 50_000_000 // of all types
	maxTransferTime = 30 * time.Minute
)

// boundedConn is a connection that yields so many bytes and no more.
type boundedConn struct {
	net.Conn
	left int64
}

func (c *boundedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, fmt.Errorf("more than %d bytes", int64(maxTransfer))
	}
	return n, err
}

// zoneConfig always has a key: dnsgate signs every update.
func zoneConfig(server, zone string, key Key) string {
	if key.Name == "" {
		key = Key{Name: "dnsgate", Algorithm: "hmac-sha256", File: "tsig.secret"}
	}
	return fmt.Sprintf("[[rfc2136]]\nserver = %s\nzone = %s\ntsig_name = %s\ntsig_algorithm = %s\ntsig_secret_file = %s  # mode 0600\n",
		strconv.Quote(server), strconv.Quote(zone), strconv.Quote(strings.TrimSuffix(key.Name, ".")),
		strconv.Quote(key.Algorithm), strconv.Quote(key.File))
}

// zoneCollector takes the records of one zone, numbered as they come.
type zoneCollector struct {
	collector
	zone string
	n    int
}

func (c *zoneCollector) take(e *dns.Envelope) error {
	if e.Error != nil {
		return fmt.Errorf("%w; does the server let this address, or this key, transfer the zone?", e.Error)
	}
	for _, rr := range e.RR {
		if c.n++; c.n > maxRecords {
			return fmt.Errorf("more than %d records", maxRecords)
		}
		c.rr(rr)
	}
	return c.room()
}

func (c *zoneCollector) rr(rr dns.RR) {
	var addr netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		addr, _ = netip.AddrFromSlice(rr.A.To4())
	case *dns.AAAA:
		addr, _ = netip.AddrFromSlice(rr.AAAA.To16())
	default:
		return
	}
	owner := strings.ToLower(strings.TrimSuffix(rr.Header().Name, "."))
	name, err := records.ParseOwner(owner)
	if err == nil && owner != c.zone && !strings.HasSuffix(owner, "."+c.zone) {
		err = fmt.Errorf("%s is not in the zone", name)
	}
	if err != nil {
		c.remark(c.zone, c.n, "left out: %v", err)
		return
	}
	h := c.host(name)
	if err := h.add(addr); err != nil {
		c.remark(c.zone, c.n, "left out: %s: %v", name, err)
		return
	}
	h.setTTL(rr.Header().Ttl)
}
