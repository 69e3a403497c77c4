package migrate

import (
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
}

// Zone reads the addresses of a zone from server, "host:port", by AXFR (RFC
// 5936).
func Zone(server, zone string, key Key) (*Setup, error) {
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(server, "53")
	}
	if _, err := records.ParseName(zone); err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	transfer := &dns.Transfer{DialTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 10 * time.Second}
	query := new(dns.Msg)
	query.SetAxfr(dns.Fqdn(zone))
	if key.Name != "" {
		transfer.TsigSecret = map[string]string{dns.CanonicalName(key.Name): key.Secret}
		query.SetTsig(dns.CanonicalName(key.Name), dns.Fqdn(key.Algorithm), 300, time.Now().Unix())
	}
	envelopes, err := transfer.In(query, server)
	if err != nil {
		return nil, fmt.Errorf("transferring %s from %s: %w", zone, server, err)
	}
	var c collector
	n := 0
	for e := range envelopes {
		if e.Error != nil {
			return nil, fmt.Errorf("transferring %s from %s: %w; does the server allow this address (or key) to transfer it?", zone, server, e.Error)
		}
		for _, rr := range e.RR {
			n++
			c.rr(zone, n, rr)
		}
	}
	config := fmt.Sprintf("[[rfc2136]]\nserver = %s\nzone = %s\n", strconv.Quote(server), strconv.Quote(strings.TrimSuffix(zone, ".")))
	if key.Name != "" {
		config += fmt.Sprintf("tsig_name = %s\ntsig_algorithm = %s\ntsig_secret_file = \"tsig.secret\"\n",
			strconv.Quote(key.Name), strconv.Quote(key.Algorithm))
	}
	return c.setup(config), nil
}

func (c *collector) rr(zone string, n int, rr dns.RR) {
	var addr netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		addr, _ = netip.AddrFromSlice(rr.A.To4())
	case *dns.AAAA:
		addr, _ = netip.AddrFromSlice(rr.AAAA.To16())
	default:
		return
	}
	name, err := records.ParseOwner(rr.Header().Name)
	if err != nil || !addr.IsValid() {
		c.skip(zone, n, "%v", err)
		return
	}
	h := c.host(name)
	h.add(addr)
	h.setTTL(rr.Header().Ttl)
}
