package migrate

import (
	"slices"

	"dnsgate/internal/records"
)

// Lines reads the address lines that a tinydns-data file has for names, and
// for their wildcards. They stay the operator's: dnsgate will put new addresses
// into them, those of the wildcard too, and leave all else as it is.
func Lines(path string, names []records.Name) (*Setup, error) {
	var c collector
	wanted := make(map[records.Name]bool)
	for _, name := range names {
		wanted[name] = true
	}
	var stars []wildcardLine
	err := eachLine(path, func(n int, text string) error {
		l, ok := parseAddressLine(text)
		if !ok {
			return nil
		}
		name, err := l.owner()
		if err != nil || !wanted[name.Host()] {
			return nil
		}
		if name.IsWildcard() {
			stars = append(stars, wildcardLine{n, name, l})
			return nil
		}
		c.ownersLine(path, n, name, l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.wildcards(path, stars)
	for _, name := range names {
		if c.hosts[name] == nil && c.hosts["*."+name] == nil {
			c.remark(path, 1, "%s has no address line in it, and dnsgate never adds one", name)
		}
	}
	return c.setup(tinydnsConfig(path, "rewrite")), nil
}

type wildcardLine struct {
	n    int
	name records.Name
	line addressLine
}

// wildcards takes the lines of wildcards. Where the host has lines of its own,
// these share its addresses; else the wildcard is a host.
func (c *collector) wildcards(path string, stars []wildcardLine) {
	alone := func(name records.Name) bool { return c.hosts[name.Host()] == nil }
	for _, s := range stars {
		if alone(s.name) {
			c.ownersLine(path, s.n, s.name, s.line)
			continue
		}
		addr, err := s.line.parse(s.line.value)
		if !s.line.off && err == nil && !slices.Contains(c.hosts[s.name.Host()].Addresses, addr) {
			c.remark(path, s.n, "%s gets the addresses of %s", s.name, s.name.Host())
		}
	}
}

// ownersLine takes a line that stays its operator's: it needs no TTL of
// dnsgate's.
func (c *collector) ownersLine(path string, n int, name records.Name, l addressLine) {
	h := c.host(name)
	if l.off {
		return // it will be turned on
	}
	c.take(path, n, h, l)
	h.TTL, h.HasTTL = 0, false
}
