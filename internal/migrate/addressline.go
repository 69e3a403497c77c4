package migrate

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"dnsgate/internal/records"
)

// stockTTL is tinydns-data's own where a line has none, in seconds.
const stockTTL = 86400

// addressLine is a line of tinydns-data that gives an address to a name.
type addressLine struct {
	kind     byte // one of + = 3 6 :
	off      bool // turned off, with "-" in front
	name     string
	value    string
	parse    func(string) (netip.Addr, error)
	ttl      string
	time     string // timestamp
	location string
}

// parseAddressLine reads "+" and "=", ":name:28:" with octal bytes, and the "6"
// and "3" of the IPv6 patch; ok is false for a line of another kind.
func parseAddressLine(text string) (l addressLine, ok bool) {
	text = strings.TrimRight(text, " \t\r")
	if rest, off := strings.CutPrefix(text, "-"); off {
		l.off = true
		text = rest
		if rest != "" && !strings.ContainsRune("=:", rune(rest[0])) {
			text = "+" + rest // "-" stands in the place of "+"
		}
	}
	if text == "" {
		return l, false
	}
	l.kind = text[0]
	f := append(strings.Split(text[1:], ":"), "", "", "", "", "")
	l.name = f[0]
	switch l.kind {
	case '+', '=':
		l.parse = parseDotted
	case '3', '6':
		l.parse = parseHex
	case ':':
		if f[1] != "28" {
			return l, false
		}
		f, l.parse = f[1:], parseOctal
	default:
		return l, false
	}
	l.value, l.ttl, l.time, l.location = f[1], f[2], f[3], f[4]
	return l, true
}

// owner is the line's name.
func (l addressLine) owner() (records.Name, error) { return records.ParseOwner(l.name) }

// seconds is the line's TTL; tinydns-data reads the digits that it begins
// with.
func (l addressLine) seconds() (uint32, error) {
	digits := l.ttl[:len(l.ttl)-len(strings.TrimLeft(l.ttl, "0123456789"))]
	if digits == "" {
		return stockTTL, nil
	}
	ttl, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("its TTL %q is more than %d seconds", l.ttl, 1<<31-1)
	}
	return uint32(ttl), nil
}

// parseDotted reads an IPv4 address as people write it. tinydns-data takes
// more, such as numbers beyond 255, which nobody means.
func parseDotted(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	if err != nil || !addr.Is4() {
		return netip.Addr{}, errors.New("not an IPv4 address")
	}
	return addr, nil
}

func parseHex(s string) (netip.Addr, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 16 {
		return netip.Addr{}, errors.New("not 32 hexadecimal digits")
	}
	return netip.AddrFrom16([16]byte(b)), nil
}

// parseOctal reads rdata as tinydns-data does: a backslash with up to three
// octal digits, or before any other byte; or bytes as they are.
func parseOctal(s string) (netip.Addr, error) {
	var b []byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' {
			if i++; i == len(s) {
				break // a lone last one is dropped
			}
			c = s[i]
			if digits := octalDigits(s[i:]); digits > 0 {
				v, _ := strconv.ParseUint(s[i:i+digits], 8, 16)
				c, i = byte(v), i+digits-1
			}
		}
		b = append(b, c)
	}
	if len(b) != 16 {
		return netip.Addr{}, fmt.Errorf("%d bytes, not 16", len(b))
	}
	return netip.AddrFrom16([16]byte(b)), nil
}

// octalDigits is how many of the first three bytes of s are octal digits.
func octalDigits(s string) int {
	n := 0
	for n < 3 && n < len(s) && '0' <= s[n] && s[n] <= '7' {
		n++
	}
	return n
}
