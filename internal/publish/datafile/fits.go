package datafile

import (
	"fmt"

	"dnsgate/internal/records"
)

// maxUDP is the length, in bytes, of the longest answer that tinydns gives: it
// speaks UDP without EDNS, and no TCP (RFC 1035 section 4.2.1).
const maxUDP = 512

// Fits is an error if the TXT records of h do not fit into an answer of tinydns.
func Fits(h records.Host) error {
	const (
		header   = 12
		question = 1 + 1 + 4 // around the name: its first length, its end, type and class
		record   = 2 + 10    // a compressed name; type, class, TTL and length
		piece    = 127       // of a text, as tinydns-data cuts it
	)
	size := header + question + len(h.Name)
	for _, r := range h.Records {
		if r.Type() != records.TXT {
			return nil // addresses are at most 8 of a family: they fit
		}
		size += record + len(r.Text) + max((len(r.Text)+piece-1)/piece, 1)
	}
	if size > maxUDP {
		return fmt.Errorf("the TXT records of %s would need an answer of %d bytes, and tinydns can give %d", h.Name, size, maxUDP)
	}
	return nil
}
