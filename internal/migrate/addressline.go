package migrate

import (
	"fmt"
	"math"

	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// addressLine is a line of tinydns-data that gives an address to a name.
type addressLine struct {
	tinydns.HostLine
	text []byte
}

// parseAddressLine reads a line as tinydns-data does; ok is false for a line
// of another kind.
func parseAddressLine(line string) (l addressLine, ok bool) {
	l.text = []byte(line)
	l.HostLine, ok = tinydns.ReadHostLine(l.text)
	return l, ok && l.Type != tinydns.TXT
}

// owner is the line's name.
func (l addressLine) owner() (records.Name, error) {
	return records.ParseOwner(string(l.AppendOwner(nil, l.text)))
}

// take adds the line's address and TTL to h, and tells why if it cannot.
func (c *collector) take(file string, n int, h *Host, l addressLine) (ok bool) {
	var err error
	value := l.Value.In(l.text)
	switch {
	case l.Addr.IsValid() && l.TTL > math.MaxInt32:
		err = fmt.Errorf("its TTL %d is more than %d seconds", l.TTL, math.MaxInt32)
	case l.Addr.IsValid():
		err = h.add(l.Addr)
	case len(value) == 0:
		return true // no address now
	case l.Type == tinydns.A:
		err = fmt.Errorf("%.64q is not an IPv4 address", value)
	default:
		err = fmt.Errorf("%.64q is not an IPv6 address", value)
	}
	if err != nil {
		c.remark(file, n, "left out: %s: %v", h.Name, err)
		return false
	}
	if l.Addr.IsValid() {
		h.setTTL(uint32(l.TTL))
	}
	return true
}
