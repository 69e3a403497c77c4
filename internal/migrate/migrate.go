// Package migrate reads what people's dynamic DNS runs on now, so that it can
// move to dnsgate: names, TTLs and addresses. It changes nothing, prints no
// secret, and trusts nothing it reads: what is not a hostname with addresses
// is left out, and said so by its place.
package migrate

import (
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"time"

	"dnsgate/internal/records"
)

// Setup is what was found.
type Setup struct {
	Hosts   []Host   // by name
	LeftOut []string // "file:line: why", in the order met
	Config  string   // the part of dnsgate.toml that goes with it
}

// Host is a name and what is known of it.
type Host struct {
	Name      records.Name
	TTL       uint32 // seconds, if HasTTL
	HasTTL    bool
	Addresses []netip.Addr
}

// collector gathers hosts line by line.
type collector struct {
	hosts   map[records.Name]*Host
	leftOut []string
}

func (c *collector) skip(file string, line int, format string, args ...any) {
	c.leftOut = append(c.leftOut, fmt.Sprintf("%s:%d: left out: %s", file, line, fmt.Sprintf(format, args...)))
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

// setTTL keeps the first TTL, and the smallest where there are several.
func (h *Host) setTTL(ttl uint32) {
	if !h.HasTTL || ttl < h.TTL {
		h.TTL, h.HasTTL = ttl, true
	}
}

func (h *Host) add(addr netip.Addr) {
	if !slices.Contains(h.Addresses, addr) {
		h.Addresses = append(h.Addresses, addr)
	}
}

func (c *collector) setup(config string) *Setup {
	s := &Setup{LeftOut: c.leftOut, Config: config}
	for _, name := range slices.Sorted(maps.Keys(c.hosts)) {
		s.Hosts = append(s.Hosts, *c.hosts[name])
	}
	return s
}

// WriteBackup writes the addresses in the format of "backup", for "dnsgate
// restore". now is when they were read.
func (s *Setup) WriteBackup(w io.Writer, now time.Time) error {
	b := records.NewBackupWriter(w)
	var revision uint64
	for _, h := range s.Hosts {
		if len(h.Addresses) == 0 {
			continue
		}
		revision++
		var rs []records.Record
		for _, a := range h.Addresses {
			rs = append(rs, records.Record{Addr: a})
		}
		records.Sort(rs)
		err := b.Write(records.Change{
			Revision: revision, Time: now.UTC().Truncate(time.Second), Name: h.Name,
			New: rs, TTL: h.ttl(), Key: "import", Source: "-",
		})
		if err != nil {
			return err
		}
	}
	return b.Close(revision)
}

func (h Host) ttl() uint32 {
	if h.HasTTL {
		return h.TTL
	}
	return 300
}

// WriteTemplates writes a line of authorized_keys for each hostname, still to
// be given its key. A wildcard goes with its host.
func (s *Setup) WriteTemplates(w io.Writer) error {
	known := make(map[records.Name]bool)
	for _, h := range s.Hosts {
		known[h.Name] = true
	}
	for _, h := range s.Hosts {
		if h.Name.IsWildcard() && known[h.Name.Host()] {
			continue
		}
		names, flags := string(h.Name), ""
		if star := "*." + h.Name; known[star] {
			names += " " + string(star)
		}
		if h.HasTTL {
			flags = fmt.Sprintf("--ttl=%d ", h.TTL)
		}
		_, err := fmt.Fprintf(w, "#command=\"dnsgate allow %s%s\" ssh-ed25519 PUT-THE-PUBLIC-KEY-HERE %s\n", flags, names, h.Name.Host())
		if err != nil {
			return err
		}
	}
	return nil
}
