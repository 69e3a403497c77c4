package migrate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// HostFiles reads a folder with tinydns-data files, one per host, which dnsgate
// is to write from then on.
func HostFiles(folder string) (*Setup, error) {
	entries, err := readFolder(folder)
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
	like := ""         // a comment that may be somebody else's marker
	err := eachLine(path, func(n int, line string) error {
		if lower := strings.ToLower(line); like == "" && strings.HasPrefix(lower, "#") && (strings.Contains(lower, "start") || strings.Contains(lower, "begin")) {
			like = fmt.Sprintf("; if line %d, %.80q, begins the section, write dnsgate's marker there, and %q at its end", n, line, sectionEnd)
		}
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
		return nil, fmt.Errorf("%s:1: there is no line %q%s", path, sectionStart, like)
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
	if trimmed := strings.TrimRight(text, " \t\r"); trimmed == "" || trimmed[0] == '#' {
		return "", false
	}
	const elsewhere = "dnsgate will not write this line again; if it is needed, move it to another data file"
	if text[0] == '-' {
		c.remark(file, n, "left out, turned off: %s", elsewhere)
		return "", false
	}
	if !isAddress {
		c.remark(file, n, "left out, not an address: %s", elsewhere)
		return "", false
	}
	name, err := l.owner()
	if err != nil {
		c.remark(file, n, "left out: %v: %s", err, elsewhere)
		return "", false
	}
	if l.View != (tinydns.View{}) {
		c.remark(file, n, "left out: %s has a timestamp or a location here: %s", name, elsewhere)
		return name, true
	}
	if l.Kind == '=' {
		c.remark(file, n, "%s becomes a + line and so loses its PTR record; with write = \"rewrite\" it would stay", name)
	}
	c.take(file, n, c.host(name), l)
	return name, true
}
