package migrate

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"dnsgate/internal/records"
)

// maxLine is the length, in bytes, of the longest line read.
const maxLine = 1 << 20

// HostFiles reads a folder with one tinydns-data file per host.
func HostFiles(folder string) (*Setup, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var c collector
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !e.Type().IsRegular() && e.Type()&os.ModeSymlink == 0 {
			continue
		}
		err := eachLine(filepath.Join(folder, e.Name()), func(file string, n int, line []byte) { c.data(file, n, line, nil) })
		if err != nil {
			return nil, err
		}
	}
	return c.setup(fmt.Sprintf("[tinydns]\nroot = %s\nwrite = \"hosts\"\npath = %s\n",
		strconv.Quote(filepath.Dir(filepath.Clean(folder))), strconv.Quote(filepath.Base(folder)))), nil
}

// The marker lines of a section.
const (
	sectionStart = "# start dynamic dns entries"
	sectionEnd   = "# end dynamic dns entries"
)

// Section reads the lines between the markers of a tinydns-data file.
func Section(path string) (*Setup, error) {
	var c collector
	starts, ends, inside := 0, 0, false
	err := eachLine(path, func(file string, n int, line []byte) {
		switch strings.TrimRight(string(line), " \t\r") {
		case sectionStart:
			starts, inside = starts+1, true
		case sectionEnd:
			ends, inside = ends+1, false
		default:
			if inside {
				c.data(file, n, line, nil)
			}
		}
	})
	if err == nil && (starts != 1 || ends != 1 || inside) {
		err = fmt.Errorf("%s:1: it needs one line %q and, after it, one line %q", path, sectionStart, sectionEnd)
	}
	if err != nil {
		return nil, err
	}
	return c.setup(dataConfig(path, "section")), nil
}

// Lines reads the address lines that a tinydns-data file has for names, and
// for their wildcards.
func Lines(path string, names []records.Name) (*Setup, error) {
	var c collector
	want := func(name records.Name) bool { return slices.Contains(names, name.Host()) }
	err := eachLine(path, func(file string, n int, line []byte) { c.data(file, n, line, want) })
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if c.hosts[name] == nil && c.hosts["*."+name] == nil {
			c.skip(path, 1, "%s has no address line in it", name)
		}
	}
	return c.setup(dataConfig(path, "rewrite")), nil
}

func dataConfig(path, write string) string {
	return fmt.Sprintf("[tinydns]\nroot = %s\nwrite = %q\npath = %s\nsources = []\n",
		strconv.Quote(filepath.Dir(filepath.Clean(path))), write, strconv.Quote(filepath.Base(path)))
}

func eachLine(path string, do func(file string, n int, line []byte)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return scanLines(path, f, do)
}

func scanLines(path string, r io.Reader, do func(file string, n int, line []byte)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		do(path, n, lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", path, n+1, err)
	}
	return nil
}

// data takes the address that a line of tinydns-data gives to a host: "+" and
// "=", ":name:28:" with octal bytes, and the "6" and "3" of the IPv6 patch.
// Other lines are of other things, and passed over.
func (c *collector) data(file string, n int, line []byte, want func(records.Name) bool) {
	line = bytes.TrimRight(line, " \t\r")
	if len(line) == 0 {
		return
	}
	fields := strings.Split(string(line[1:]), ":")
	field := func(i int) string {
		if i < len(fields) {
			return fields[i]
		}
		return ""
	}
	value, ttl := field(1), field(2)
	parse := netip.ParseAddr
	switch line[0] {
	case '+', '=':
	case '6', '3':
		parse = parseHex
	case ':':
		if field(1) != "28" {
			return
		}
		value, ttl, parse = field(2), field(3), parseOctal
	default:
		return
	}
	name, err := records.ParseOwner(field(0))
	if err != nil {
		if want == nil {
			c.skip(file, n, "%v", err)
		}
		return
	}
	if want != nil && !want(name) {
		return
	}
	addr, err := parse(value)
	if err != nil {
		c.skip(file, n, "%s: %q is not an address", name, value)
		return
	}
	h := c.host(name)
	h.add(addr)
	if ttl != "" {
		seconds, err := strconv.ParseUint(ttl, 10, 31)
		if err != nil {
			c.skip(file, n, "%s: the TTL %q", name, ttl)
			return
		}
		h.setTTL(uint32(seconds))
	}
}

func parseHex(s string) (netip.Addr, error) {
	b, err := hex.DecodeString(s)
	addr, ok := netip.AddrFromSlice(b)
	if err != nil || !ok || !addr.Is6() {
		return netip.Addr{}, errors.New("not 32 hexadecimal digits")
	}
	return addr, nil
}

// parseOctal reads rdata as tinydns-data does: \ and three octal digits, or
// bytes as they are.
func parseOctal(s string) (netip.Addr, error) {
	var b []byte
	for len(s) > 0 {
		if s[0] == '\\' && len(s) >= 4 {
			v, err := strconv.ParseUint(s[1:4], 8, 8)
			if err != nil {
				return netip.Addr{}, err
			}
			b, s = append(b, byte(v)), s[4:]
			continue
		}
		b, s = append(b, s[0]), s[1:]
	}
	addr, ok := netip.AddrFromSlice(b)
	if !ok || !addr.Is6() {
		return netip.Addr{}, errors.New("not 16 bytes")
	}
	return addr, nil
}

// Hostkeys reads the file of a set-up with shared keys: a hostname, a TTL and
// a secret in each line, separated by blanks, colons or commas. The secrets
// are of no use to SSH and are not kept.
func Hostkeys(path string) (*Setup, error) {
	var c collector
	err := eachLine(path, func(file string, n int, line []byte) {
		words := strings.FieldsFunc(string(line), func(r rune) bool { return strings.ContainsRune(" \t\r:,;", r) })
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			return
		}
		name, err := records.ParseOwner(words[0])
		if err != nil {
			c.skip(file, n, "its first word is not a hostname")
			return
		}
		h := c.host(name)
		if len(words) > 1 {
			if ttl, err := strconv.ParseUint(words[1], 10, 31); err == nil {
				h.setTTL(uint32(ttl))
				return
			}
		}
		c.skip(file, n, "%s has no TTL; its template comes without", name)
	})
	if err != nil {
		return nil, err
	}
	return c.setup(""), nil
}
