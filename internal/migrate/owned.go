package migrate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dnsgate/internal/records"
)

// HostFiles reads a folder with tinydns-data files, one per host, which dnsgate
// is to write from then on.
func HostFiles(folder string) (*Setup, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var c collector
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		info, err := os.Stat(path)
		switch {
		case strings.HasPrefix(e.Name(), "."):
			continue
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular():
			c.remark(path, 1, "left out: not a regular file")
			continue
		}
		if err := c.hostFile(path, e.Name()); err != nil {
			return nil, err
		}
	}
	return c.setup(tinydnsConfig(folder, "hosts")), nil
}

func (c *collector) hostFile(path, base string) error {
	others := make(map[records.Name]bool)
	return eachLine(path, func(n int, line string) error {
		name, ok := c.ownedLine(path, n, line)
		if ok && string(name.Host()) != base && !others[name.Host()] {
			others[name.Host()] = true
			c.remark(path, n, "dnsgate will write the file %s for this host: remove the line here then", name.Host())
		}
		return c.room()
	})
}

// The marker lines of a section.
const (
	sectionStart = "# start dynamic dns entries"
	sectionEnd   = "# end dynamic dns entries"
)

// Section reads the lines between the markers of a tinydns-data file, which
// dnsgate is to write from then on.
func Section(path string) (*Setup, error) {
	var c collector
	start, end := 0, 0 // lines
	err := eachLine(path, func(n int, line string) error {
		switch strings.TrimRight(line, " \t\r") {
		case sectionStart:
			return only(&start, path, n, sectionStart)
		case sectionEnd:
			return only(&end, path, n, sectionEnd)
		}
		if start > 0 && end == 0 {
			c.ownedLine(path, n, line)
		}
		return c.room()
	})
	switch {
	case err != nil:
		return nil, err
	case start == 0:
		return nil, fmt.Errorf("%s:1: there is no line %q", path, sectionStart)
	case end == 0:
		return nil, fmt.Errorf("%s:%d: no line %q follows", path, start, sectionEnd)
	case end < start:
		return nil, fmt.Errorf("%s:%d: the line %q comes after %q, which is line %d", path, start, sectionStart, sectionEnd, end)
	}
	return c.setup(tinydnsConfig(path, "section")), nil
}

func only(at *int, path string, n int, marker string) error {
	if *at > 0 {
		return fmt.Errorf("%s:%d: a second line %q; the first is line %d", path, n, marker, *at)
	}
	*at = n
	return nil
}

// ownedLine takes the address that a line gives to a host. The line stands
// where dnsgate will write lines of its own only, so what these will lack is
// remarked.
func (c *collector) ownedLine(file string, n int, text string) (name records.Name, ok bool) {
	l, isAddress := parseAddressLine(text)
	if trimmed := strings.TrimRight(text, " \t\r"); trimmed == "" || trimmed[0] == '#' || trimmed[0] == '-' {
		return "", false
	}
	const elsewhere = "dnsgate will not write this line again; if it is needed, move it to another data file"
	if !isAddress {
		c.remark(file, n, "left out, not an address: %s", elsewhere)
		return "", false
	}
	name, err := l.owner()
	if err != nil {
		c.remark(file, n, "left out: %v: %s", err, elsewhere)
		return "", false
	}
	if l.time != "" || l.location != "" {
		c.remark(file, n, "left out: %s has a timestamp or a location here: %s", name, elsewhere)
		return name, true
	}
	if l.kind == '=' {
		c.remark(file, n, "%s becomes a + line and so loses its PTR record; with write = \"rewrite\" it would stay", name)
	}
	c.take(file, n, c.host(name), l)
	return name, true
}

// take adds the line's address and TTL to h.
func (c *collector) take(file string, n int, h *Host, l addressLine) {
	if l.value == "" {
		return // no address now
	}
	addr, err := l.parse(l.value)
	if err != nil {
		c.remark(file, n, "left out: %s: %q is %v", h.Name, l.value, err)
		return
	}
	ttl, err := l.seconds()
	if err == nil {
		err = h.add(addr)
	}
	if err != nil {
		c.remark(file, n, "left out: %s: %v", h.Name, err)
		return
	}
	h.setTTL(ttl)
}
