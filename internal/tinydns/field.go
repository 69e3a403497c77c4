package tinydns

import (
	"bytes"
	"errors"
)

// What is wrong with a line. The real program calls the first three
// "protocol error" and does not name the line.
var (
	errLabelTooLong = errors.New("a label is longer than 63 bytes")
	errNameTooLong  = errors.New("a name is longer than 255 bytes")
	errNoPort       = errors.New("an S line needs a port number")
	errLeading      = errors.New("unrecognized leading character")
)

// fields is what is left of a line: fields separated by colons. A missing
// field is empty.
type fields []byte

func (f *fields) next() []byte {
	rest := []byte(*f)
	i := bytes.IndexByte(rest, ':')
	if i < 0 {
		*f = nil
		return rest
	}
	*f = fields(rest[i+1:])
	return rest[:i]
}

// number reads the decimal digits that field begins with, modulo 2^64; ok is
// false when there are none. Whatever follows the digits is ignored.
func number(field []byte) (n uint64, ok bool) {
	for i, c := range field {
		if c -= '0'; c > 9 {
			return n, i > 0
		}
		n = n*10 + uint64(c)
	}
	return n, len(field) > 0
}

// next returns the number in the next field, or otherwise.
func (f *fields) number(otherwise uint64) uint64 {
	if n, ok := number(f.next()); ok {
		return n
	}
	return otherwise
}

// address reads four numbers joined by dots, each modulo 256, and returns how
// many bytes they take: 0 if there is no address. Whatever follows is ignored.
func address(field []byte) (ip [4]byte, n int) {
	at := 0
	for i := range ip {
		if i > 0 {
			if at == len(field) || field[at] != '.' {
				return ip, 0
			}
			at++
		}
		first := at
		for ; at < len(field) && field[at]-'0' <= 9; at++ {
			ip[i] = ip[i]*10 + field[at] - '0'
		}
		if at == first {
			return ip, 0
		}
	}
	return ip, at
}

// address6 reads 32 hexadecimal digits. Whatever follows is ignored.
func address6(field []byte) (ip [16]byte, ok bool) {
	if len(field) < 32 {
		return ip, false
	}
	for i, c := range field[:32] {
		digit, ok := hexDigit(c | 0x20)
		if !ok {
			return ip, false
		}
		ip[i/2] = ip[i/2]<<4 | digit
	}
	return ip, true
}

// hexDigit is the value of a hexadecimal digit in lower case.
func hexDigit(c byte) (value byte, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// timestamp reads up to 16 hexadecimal digits, aligned to the left; any other
// byte counts as 0.
func timestamp(field []byte) uint64 {
	var label uint64
	for i := 0; i < len(field) && i < 16; i++ {
		digit, _ := hexDigit(field[i])
		label |= uint64(digit) << (60 - 4*i)
	}
	return label
}

// location reads the first two bytes; two zero bytes mean everywhere.
func location(field []byte) (lo [2]byte) {
	copy(lo[:], field)
	return lo
}

// validity is how most lines end: ttl:timestamp:lo.
type validity struct {
	ttl       uint64 // the C program's unsigned long
	timestamp uint64 // a TAI64 label, or 0
	lo        [2]byte
}

func (f *fields) validity(ttl uint64) validity {
	return validity{f.number(ttl), timestamp(f.next()), location(f.next())}
}

// appendName appends the wire form of a dotted name. Empty labels are
// skipped. A backslash takes the special meaning from the next byte, or
// stands for a byte together with up to three octal digits.
func appendName(dst, text []byte) ([]byte, error) {
	first, label := len(dst), len(dst)
	dst = append(dst, 0)
	for i := 0; i < len(text); {
		c := text[i]
		i++
		if c == '.' {
			if n := len(dst) - label - 1; n > 0 {
				dst[label] = byte(n)
				label = len(dst)
				if dst = append(dst, 0); len(dst)-first > 255 {
					return dst, errNameTooLong
				}
			}
			continue
		}
		if c == '\\' {
			if i == len(text) {
				break
			}
			c, i = unescape(text, i)
		}
		if len(dst)-label > 63 {
			return dst, errLabelTooLong
		}
		dst = append(dst, c)
	}
	if n := len(dst) - label - 1; n > 0 {
		dst[label] = byte(n)
		dst = append(dst, 0)
	}
	if len(dst)-first > 255 {
		return dst, errNameTooLong
	}
	return dst, nil
}

// unescape reads what follows a backslash: text[i], which must be there.
func unescape(text []byte, i int) (c byte, next int) {
	c = text[i]
	i++
	if !octal(c) {
		return c, i
	}
	c -= '0'
	for range 2 {
		if i == len(text) || !octal(text[i]) {
			break
		}
		c = c<<3 + text[i] - '0'
		i++
	}
	return c, i
}

func octal(c byte) bool { return '0' <= c && c <= '7' }

// appendText appends what an escaped text stands for.
func appendText(dst, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:i]...)
		if i++; i == len(text) {
			return dst
		}
		c, next := unescape(text, i)
		dst = append(dst, c)
		text = text[next:]
	}
}
