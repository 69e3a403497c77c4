package publish

import (
	"bytes"
	"encoding/hex"

	"dnsgate/internal/records"
)

// family is what kind of record a line holds.
type family int

const (
	ipv4 family = iota
	ipv6
	text
	families
)

func (f family) String() string { return [families]string{"A", "AAAA", "TXT"}[f] }

func familyOf(r records.Record) family {
	switch r.Type() {
	case records.A:
		return ipv4
	case records.AAAA:
		return ipv6
	}
	return text
}

// hostLine is a line of a data file that holds an address or a text:
//
//	+fqdn:ip:ttl:timestamp:lo             A
//	=fqdn:ip:ttl:timestamp:lo             A, and its PTR
//	:fqdn:28:rdata:ttl:timestamp:lo       AAAA
//	3fqdn:digits:ttl:timestamp:lo         AAAA
//	6fqdn:digits:ttl:timestamp:lo         AAAA, and its PTR
//	'fqdn:text:ttl:timestamp:lo           TXT
//
// One that is turned off has "-" in front, or for "+" in its place, as
// tinydns-data's manual has it.
type hostLine struct {
	start, end int // in the file, without the newline
	kind       byte
	off        bool
	family     family
	name       span
	value      span // the address or text, without blanks behind it
	location   [2]byte
	host       *rewritten
	group      int // of host
}

// span is a part of the file.
type span struct{ start, end int }

// parseHostLine reads the line data[start:end]; ok is false if it is of
// another kind.
func parseHostLine(data []byte, start, end int) (l hostLine, ok bool) {
	l.start, l.end = start, end
	at := start
	if at < end && data[at] == '-' {
		l.off = true
		at++
	}
	if at == end {
		return l, false
	}
	if l.kind = data[at]; l.off && !bytes.ContainsRune([]byte("=:36'"), rune(l.kind)) {
		l.kind = '+'
		at--
	}
	if ok = l.fields(data, at+1); !ok && l.off && (l.kind == '3' || l.kind == '6') {
		l.kind = '+' // the name begins with a digit
		ok = l.fields(data, at)
	}
	return l, ok
}

// fields reads what follows the line's first character.
func (l *hostLine) fields(data []byte, at int) bool {
	var f [6]span
	n := 0
	for n < len(f) && at <= l.end {
		next := l.end
		if i := bytes.IndexByte(data[at:l.end], ':'); i >= 0 {
			next = at + i
		}
		f[n] = span{at, next}
		at = next + 1
		n++
	}
	lo := 4
	l.name, l.value = f[0], f[1]
	switch l.kind {
	case '+', '=':
		l.family = ipv4
	case '\'':
		l.family = text
	case '3', '6':
		l.family = ipv6
		if !isHex32(data[f[1].start:f[1].end]) {
			return false
		}
	case ':':
		l.family, l.value, lo = ipv6, f[2], 5
		if n < 3 || string(data[f[1].start:f[1].end]) != "28" {
			return false
		}
	default:
		return false
	}
	if n < 2 || l.name.start == l.name.end || bytes.IndexByte([]byte("=:'"), data[l.name.start]) >= 0 {
		return false // the last: its "-" line would be read as another kind
	}
	if l.value.end == l.end {
		l.value.end = l.value.start + len(bytes.TrimRight(data[l.value.start:l.value.end], " \t\r"))
	}
	if n > lo {
		copy(l.location[:], bytes.TrimRight(data[f[lo].start:f[lo].end], " \t\r"))
	}
	return true
}

// isHex32 reports whether field begins with the 32 digits of an IPv6 address.
func isHex32(field []byte) bool {
	if len(field) < 32 {
		return false
	}
	var ip [16]byte
	_, err := hex.Decode(ip[:], field[:32])
	return err == nil
}

// appendOn appends the line, turned on, with r in it.
func (l *hostLine) appendOn(dst, data []byte, r records.Record) []byte {
	dst = append(dst, l.kind)
	dst = append(dst, data[l.name.start:l.value.start]...)
	switch l.kind {
	case '+', '=':
		dst = r.Addr.AppendTo(dst)
	case '3', '6':
		ip := r.Addr.As16()
		dst = hex.AppendEncode(dst, ip[:])
	case ':':
		for _, c := range r.Addr.As16() {
			dst = append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		}
	case '\'':
		dst = append(dst, r.Text...) // no character of it has a meaning
	}
	return append(dst, data[l.value.end:l.end]...)
}

// appendOff appends the line turned off.
func (l *hostLine) appendOff(dst, data []byte) []byte {
	dst = append(dst, '-')
	if l.kind != '+' {
		dst = append(dst, l.kind)
	}
	return append(dst, data[l.name.start:l.end]...)
}

// canonicalName appends a name field in the form of records.Name: tinydns-data
// skips empty labels, and takes a backslash with up to three octal digits, or
// before any other byte, for one byte of a label.
func canonicalName(dst, field []byte) []byte {
	first := len(dst)
	for i := 0; i < len(field); i++ {
		c := field[i]
		if c == '.' {
			if len(dst) > first && dst[len(dst)-1] != '.' {
				dst = append(dst, '.')
			}
			continue
		}
		if c == '\\' && i+1 < len(field) {
			c, i = unescape(field, i+1)
			if c == '.' {
				c = 0 // inside of a label: no name of ours
			}
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return bytes.TrimSuffix(dst, []byte("."))
}

// unescape reads what follows a backslash, and returns the place of the last
// byte that belongs to it.
func unescape(field []byte, i int) (c byte, last int) {
	octal := func(c byte) bool { return '0' <= c && c <= '7' }
	if c = field[i]; !octal(c) {
		return c, i
	}
	c -= '0'
	for n := 0; n < 2 && i+1 < len(field) && octal(field[i+1]); n++ {
		i++
		c = c<<3 + field[i] - '0'
	}
	return c, i
}
