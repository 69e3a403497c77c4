package tinydns

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
)

// The functions below append one data line, newline included. A name is
// dotted, and each of its bytes but the dots stands for itself; a first label
// * makes the record one for all names below. ttl is in seconds. until, in
// Unix seconds, is when the record ends, or 0 for never; tinydns counts the
// time to live down by itself then, so until has no effect unless ttl is 0.

// text is bytes, or a string of them.
type text interface{ ~string | ~[]byte }

// appendAddress appends the line of an address: "+" for IPv4, and for IPv6 what dialect
// has: ":name:28:"; or "6", which makes the PTR record as well, and "3" for a wildcard.
func appendAddress[Name text](dst []byte, dialect Dialect, name Name, addr netip.Addr, ttl uint32, until int64) []byte {
	if addr = addr.Unmap(); addr.Is4() {
		dst = appendEscapedName(append(dst, '+'), name)
		dst = addr.AppendTo(append(dst, ':'))
		return appendTimes(dst, ttl, until)
	}
	ip := addr.As16()
	if dialect == Stock {
		return AppendGeneric(dst, name, typeAAAA, ip[:], ttl, until)
	}
	kind := byte('6')
	if len(name) > 1 && name[0] == '*' && name[1] == '.' {
		kind = '3'
	}
	dst = appendEscapedName(append(dst, kind), name)
	dst = hex.AppendEncode(append(dst, ':'), ip[:])
	return appendTimes(dst, ttl, until)
}

// appendTXT appends the line of a TXT record. tinydns cuts text into strings
// of 127 bytes.
func appendTXT[Name, Text text](dst []byte, name Name, text Text, ttl uint32, until int64) []byte {
	dst = appendEscapedName(append(dst, '\''), name)
	dst = append(dst, ':')
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == ':' || c == '\\' {
			dst = appendOctal(dst, c)
		} else {
			dst = append(dst, c)
		}
	}
	return appendTimes(dst, ttl, until)
}

// AppendGeneric appends the line of a record of any type that tinydns-data
// has no line for.
func AppendGeneric[Name text](dst []byte, name Name, kind uint16, rdata []byte, ttl uint32, until int64) []byte {
	dst = appendEscapedName(append(dst, ':'), name)
	dst = strconv.AppendUint(append(dst, ':'), uint64(kind), 10)
	dst = append(dst, ':')
	for _, c := range rdata {
		dst = appendOctal(dst, c)
	}
	return appendTimes(dst, ttl, until)
}

func appendEscapedName[Name text](dst []byte, name Name) []byte {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '*':
			dst = append(dst, c)
		default:
			dst = appendOctal(dst, c)
		}
	}
	return dst
}

func appendOctal(dst []byte, c byte) []byte {
	return append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
}

// taiEpoch is the TAI64 label of the Unix epoch, as djbdns has it.
const taiEpoch = 1<<62 + 10

func appendTimes(dst []byte, ttl uint32, until int64) []byte {
	dst = strconv.AppendUint(append(dst, ':'), uint64(ttl), 10)
	if label := endLabel(ttl, until); label != 0 {
		dst = fmt.Appendf(dst, ":%016x", label)
	}
	return append(dst, '\n')
}

// endLabel is the timestamp of a record that ends, or 0.
func endLabel(ttl uint32, until int64) uint64 {
	if ttl != 0 || until == 0 {
		return 0
	}
	return uint64(taiEpoch + until)
}
