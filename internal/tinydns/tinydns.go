// Package tinydns reads and writes the data of djb's tinydns: it compiles the
// lines of a data file to the constant database data.cdb, byte for byte as
// tinydns-data does (Compile), answers from one as tinydns-get does (Get),
// and keeps one up to date at the price of writing it (Builder). It trusts
// nothing that it reads, text or database, and refuses only what
// tinydns-data refuses. It knows the format of djbdns 1.05 with Debian's S
// lines, and on request the 3 and 6 lines of Felix von Leitner's IPv6 patch.
package tinydns

// Dialect says which lines a compiler understands.
type Dialect int

const (
	// Stock is the format of tinydns-data in Debian.
	Stock Dialect = iota
	// Fefe adds "3" and "6" lines, fqdn:32 hexadecimal digits:ttl:timestamp:lo:
	// an AAAA record, and with "6" the PTR record below ip6.arpa as well.
	Fefe
)

// Types of records (RFC 1035, 2782, 3596, 5936).
const (
	typeA     = 1
	typeNS    = 2
	typeCNAME = 5
	typeSOA   = 6
	typePTR   = 12
	typeMX    = 15
	typeTXT   = 16
	typeAAAA  = 28
	typeSRV   = 33
	typeAXFR  = 252
	typeANY   = 255
)

// Times to live, in seconds, where a line leaves them out.
const (
	ttlNS       = 259200
	ttlPositive = 86400
	ttlNegative = 2560
)

// soaTimers are refresh, retry, expire and minimum where a line leaves them
// out.
var soaTimers = [4]uint32{16384, 2048, 1048576, 2560}
