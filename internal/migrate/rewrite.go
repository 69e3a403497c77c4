package migrate

import (
	"fmt"
	"slices"

	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// placedLine is a line and its number.
type placedLine struct {
	number int
	addressLine
}

// Lines reads the address lines that a tinydns-data file has for names, and
// for their wildcards. They stay the operator's: dnsgate will put new addresses
// into them, those of the wildcard too, and leave all else as it is. A host
// comes without addresses if writing these into all of its lines would change
// what is served.
func Lines(path string, names []records.Name) (*Setup, error) {
	lines := make(map[records.Name][]placedLine)
	for _, name := range names {
		lines[name] = nil
	}
	found := 0
	err := eachLine(path, func(n int, text string) error {
		l, ok := parseAddressLine(text)
		if !ok {
			return nil
		}
		name, err := l.owner()
		if err != nil {
			return nil // no name that can be asked for
		}
		if _, wanted := lines[name.Host()]; !wanted {
			return nil
		}
		if found++; found > maxHosts {
			return fmt.Errorf("%s:%d: more than %d lines of these hosts", path, n, maxHosts)
		}
		lines[name] = append(lines[name], placedLine{n, l})
		return nil
	})
	if err != nil {
		return nil, err
	}
	var c collector
	for _, name := range names {
		c.rewritten(path, name, lines[name], lines["*."+name])
	}
	return c.setup(tinydnsConfig(path, "rewrite")), nil
}

// rewritten takes the lines of a host and of its wildcard, which is a host of
// its own where it has other addresses, or the host has no line.
func (c *collector) rewritten(path string, name records.Name, own, star []placedLine) {
	if len(own)+len(star) == 0 {
		c.remark(path, 1, "%s has no address line in it, and dnsgate never adds one", name)
		return
	}
	if len(own) == 0 {
		c.operators(path, "*."+name, star)
		return
	}
	if len(star) == 0 || sameAddresses(own, star) {
		c.operators(path, name, slices.Concat(own, star))
		return
	}
	c.operators(path, name, own)
	c.operators(path, "*."+name, star)
	c.remark(path, star[0].number, "*.%s has other addresses than %s: it becomes a host of its own", name, name)
}

// operators takes lines that stay their operator's: the host needs no TTL.
func (c *collector) operators(path string, name records.Name, lines []placedLine) {
	h := c.host(name)
	var views tinydns.Views
	whole := true
	for _, l := range lines {
		views.See(l.number, l.View)
		if !l.Off { // it will be turned on
			whole = c.take(path, l.number, h, l.addressLine) && whole
		}
	}
	h.TTL, h.HasTTL = 0, false
	if views.Differ() {
		differ := views.Error(path, string(name))
		c.remark(path, differ.Other, "left out: %s", differ.Why())
	}
	if views.Differ() || !whole {
		h.Addresses = nil
	}
}

// sameAddresses reports whether tinydns serves the same of both; lines that
// are turned off may hold anything.
func sameAddresses(a, b []placedLine) bool {
	within := func(some, all []placedLine) bool {
		return !slices.ContainsFunc(some, func(l placedLine) bool {
			return !l.Off && l.Addr.IsValid() &&
				!slices.ContainsFunc(all, func(o placedLine) bool { return !o.Off && o.Addr == l.Addr })
		})
	}
	return within(a, b) && within(b, a)
}
