package tinydns

import (
	"bytes"
	"fmt"
	"net/netip"
)

// HostLine is a line of a data file that gives a name an address or a text,
// as tinydns-data reads it:
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
type HostLine struct {
	Kind byte // one of + = : 3 6 '
	Off  bool
	Type uint16     // A, AAAA or TXT
	Name Span       // AppendOwner reads it
	Addr netip.Addr // zero for a text, and where tinydns-data finds no address

	// Value is the address or text. What tinydns-data ignores behind an
	// address is outside of it.
	Value Span

	TTL uint64 // as written; tinydns-data keeps the low 32 bits
	View
}

// The types of a HostLine.
const (
	A    = typeA
	AAAA = typeAAAA
	TXT  = typeTXT
)

// Span is a part of a line.
type Span struct{ Start, End int }

// In returns that part of line.
func (s Span) In(line []byte) []byte { return line[s.Start:s.End] }

// View says for whom and when tinydns serves a line.
type View struct {
	Location  [2]byte // zero: everywhere
	Timestamp uint64  // a TAI64 label; zero: at any time
	ends      bool    // the line is served until Timestamp, not from then on
}

// Differs names what views differ by, or is empty.
func (v View) Differs(other View) string {
	switch {
	case v.Location != other.Location:
		return "location"
	case v != other:
		return "timestamp"
	}
	return ""
}

// ReadHostLine reads a line, without its newline; ok is false if it is of
// another kind, or has no field for a value.
func ReadHostLine(line []byte) (l HostLine, ok bool) {
	line = bytes.TrimRight(line, " \t")
	at := 0
	if len(line) > 0 && line[0] == '-' {
		l.Off = true
		at = 1
	}
	if at == len(line) {
		return l, false
	}
	if l.Kind = line[at]; l.Off && bytes.IndexByte([]byte("=:36'"), l.Kind) < 0 {
		l.Kind = '+'
		at--
	}
	if ok = l.read(line, at+1); !ok && l.Off && (l.Kind == '3' || l.Kind == '6') {
		l.Kind = '+' // the name begins with a digit
		ok = l.read(line, at)
	}
	return l, ok
}

// read reads the fields, which begin at line[at].
func (l *HostLine) read(line []byte, at int) bool {
	f := fields(line[at:])
	next := func() Span {
		start := len(line) - len(f)
		return Span{start, start + len(f.next())}
	}
	l.Name = next()
	if l.Name.End == len(line) {
		return false
	}
	l.Value = next()
	field := l.Value.In(line)
	switch l.Kind {
	case '+', '=':
		l.Type = A
		ip, n := address(field)
		if n > 0 {
			l.Addr = netip.AddrFrom4(ip)
		} else if n = bytes.IndexAny(field, " \t\r"); n < 0 {
			n = len(field)
		}
		l.Value.End = l.Value.Start + n
	case '3', '6':
		l.Type = AAAA
		ip, ok := address6(field)
		if !ok {
			return false
		}
		l.Addr = netip.AddrFrom16(ip)
		l.Value.End = l.Value.Start + 32
	case ':':
		l.Type = AAAA
		if n, _ := number(field); uint16(n) != typeAAAA || l.Value.End == len(line) {
			return false
		}
		l.Value = next()
		l.Addr = rdataAddress(l.Value.In(line))
	case '\'':
		l.Type = TXT
	default:
		return false
	}
	v := f.validity(ttlPositive)
	l.TTL, l.View = v.ttl, View{v.lo, v.timestamp, v.timestamp != 0 && uint32(v.ttl) == 0}
	return true
}

// rdataAddress is the address of an AAAA record, or the zero Addr.
func rdataAddress(field []byte) netip.Addr {
	if len(field) < 16 || len(field) > 4*16 {
		return netip.Addr{}
	}
	var buf [4 * 16]byte
	rdata := appendText(buf[:0], field)
	if len(rdata) != 16 {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte(rdata))
}

// AppendOwner appends the name that line gives its value to: in lower case,
// without empty labels and escapes, a wildcard with "*" as its first label. A
// dot inside of a label becomes a zero byte, since no hostname has either.
func (l *HostLine) AppendOwner(dst, line []byte) []byte {
	first := len(dst)
	field := l.Name.In(line)
	for i := 0; i < len(field); {
		c := field[i]
		i++
		if c == '.' {
			if len(dst) > first && dst[len(dst)-1] != '.' {
				dst = append(dst, '.')
			}
			continue
		}
		if c == '\\' {
			if i == len(field) {
				break
			}
			if c, i = unescape(field, i); c == '.' {
				c = 0
			}
		}
		dst = append(dst, lower(c))
	}
	if n := len(dst); n > first && dst[n-1] == '.' {
		dst = dst[:n-1]
	}
	return dst
}

// Views looks for what the lines of one host differ by. The zero value has
// seen no line.
type Views struct {
	view        View
	line, other int    // numbers of lines; 0: none
	by          string // what they differ by
}

// See takes a line's number and view.
func (v *Views) See(number int, view View) {
	switch {
	case v.line == 0:
		v.view, v.line = view, number
	case v.other == 0:
		if v.by = v.view.Differs(view); v.by != "" {
			v.other = number
		}
	}
}

// Differ reports whether lines differed.
func (v *Views) Differ() bool { return v.other != 0 }

// Error says where the lines of host in file differ.
func (v *Views) Error(file, host string) *ViewsError {
	return &ViewsError{file, host, v.by, v.line, v.other}
}

// ViewsError says that the lines of a host are served to different clients, or
// at different times, so that one address for all of them would be wrong.
type ViewsError struct {
	File, Host, By string
	Line, Other    int
}

func (e *ViewsError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Other, e.Why()) }

// Why is Error without the place.
func (e *ViewsError) Why() string {
	hint := "leave one of them"
	if e.By == "location" {
		hint = "say with location in [tinydns] which are dnsgate's"
	}
	return fmt.Sprintf("the lines of %s differ by %s: line %d has another; %s", e.Host, e.By, e.Line, hint)
}

// ForClient is what a client may be told of it.
func (e *ViewsError) ForClient() string {
	return fmt.Sprintf("the lines of %s differ by %s; ask the operator", e.Host, e.By)
}
