// Package migrate reads what people's dynamic DNS runs on now, so that it can
// move to dnsgate: names, TTLs and addresses. It changes nothing, keeps no
// secret, and trusts nothing it reads: what is not a hostname with addresses
// to publish is left out, and said so by its place.
package migrate

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"dnsgate/internal/records"
)

// Setup is what was found.
type Setup struct {
	Hosts   []Host   // by name
	Remarks []string // "file:line: what to know", in the order met
	Config  string   // the part of dnsgate.toml that goes with it
}

// Host is a name and what is known of it.
type Host struct {
	Name      records.Name
	TTL       uint32 // seconds, if HasTTL
	HasTTL    bool
	Addresses []netip.Addr
}

const (
	// maxHosts bounds what is read of a source.
	maxHosts = 4_000_000

	// maxRemarks is how many are worth reading.
	maxRemarks = 1000
)

// collector gathers hosts as they are met.
type collector struct {
	hosts   map[records.Name]*Host
	remarks []string
	unsaid  int // remarks beyond maxRemarks
}

func (c *collector) remark(file string, line int, format string, args ...any) {
	if len(c.remarks) >= maxRemarks {
		c.unsaid++
		return
	}
	c.remarks = append(c.remarks, fmt.Sprintf("%s:%d: %s", file, line, fmt.Sprintf(format, args...)))
}

// host returns the host of that name, new if need be.
func (c *collector) host(name records.Name) *Host {
	if c.hosts == nil {
		c.hosts = make(map[records.Name]*Host)
	}
	if c.hosts[name] == nil {
		c.hosts[name] = &Host{Name: name}
	}
	return c.hosts[name]
}

// setTTL keeps the smallest TTL: a record set has only one (RFC 2181 section
// 5.2).
func (h *Host) setTTL(ttl uint32) {
	if !h.HasTTL || ttl < h.TTL {
		h.TTL, h.HasTTL = ttl, true
	}
}

// add gives h an address, unless dnsgate would not publish it.
func (h *Host) add(addr netip.Addr) error {
	addr = addr.Unmap()
	if err := records.CheckAddress(addr, true); err != nil {
		return err
	}
	if slices.Contains(h.Addresses, addr) {
		return nil
	}
	same := 0
	for _, a := range h.Addresses {
		if a.Is4() == addr.Is4() {
			same++
		}
	}
	if same == records.MaxAddresses {
		return fmt.Errorf("%s is one address too many: a host has at most %d of a family", addr, records.MaxAddresses)
	}
	h.Addresses = append(h.Addresses, addr)
	return nil
}

// private reports whether h has an address that only --private lets through.
func (h *Host) private() bool {
	return slices.ContainsFunc(h.Addresses, func(a netip.Addr) bool { return records.CheckAddress(a, false) != nil })
}

func (c *collector) setup(config string) *Setup {
	s := &Setup{Remarks: c.remarks, Config: config}
	if c.unsaid > 0 {
		s.Remarks = append(s.Remarks, fmt.Sprintf("and %d more remarks", c.unsaid))
	}
	for _, name := range slices.Sorted(maps.Keys(c.hosts)) {
		s.Hosts = append(s.Hosts, *c.hosts[name])
	}
	return s
}

// Only keeps those hosts, and their wildcards, that are named, and remarks
// which are not in source.
func (s *Setup) Only(names []records.Name, source string) {
	for _, name := range names {
		if !slices.ContainsFunc(s.Hosts, func(h Host) bool { return h.Name.Host() == name }) {
			s.Remarks = append(s.Remarks, fmt.Sprintf("%s: %s has no address in it", source, name))
		}
	}
	s.Hosts = slices.DeleteFunc(s.Hosts, func(h Host) bool { return !slices.Contains(names, h.Name.Host()) })
}

// tinydnsConfig is the [tinydns] table for data at path. Where the root has a
// Makefile, make goes on building data.cdb.
func tinydnsConfig(path, write string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute // dnsgate.toml may lie in any folder
	}
	root, base := filepath.Split(path)
	root = filepath.Clean(root)
	config := fmt.Sprintf("[tinydns]\nroot = %s\nwrite = %q\npath = %s\n", strconv.Quote(root), write, strconv.Quote(base))
	for _, name := range []string{"GNUmakefile", "makefile", "Makefile"} {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil {
			return config + "sources = []  # further files that make reads: a change to one runs it\nrebuild = [\"make\"]\n"
		}
	}
	return config + "sources = []  # further data files, compiled together with it\n"
}
