package records

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
)

// Type is a DNS record type (RFC 1035 section 3.2.2).
type Type uint16

// The types that dnsgate publishes.
const (
	A    Type = 1
	TXT  Type = 16
	AAAA Type = 28
)

// Types are these, in the order in which a host has its records.
var Types = []Type{A, AAAA, TXT}

func (t Type) String() string {
	switch t {
	case A:
		return "A"
	case AAAA:
		return "AAAA"
	case TXT:
		return "TXT"
	}
	return "?"
}

// Record is one value of a host.
type Record struct {
	Addr    netip.Addr // of an A or AAAA record; invalid for TXT
	Text    string     // of a TXT record: letters, digits and -_.=+/, at most MaxText bytes
	Expires int64      // Unix seconds when it leaves by itself; 0: never
}

// MaxText is the length, in bytes, of the longest TXT value: one string of
// RFC 1035 section 3.3.14.
const MaxText = 255

// Bounds of what a host may have.
const (
	MaxAddresses = 8  // of one family
	MaxTexts     = 32 // TXT values
)

// Type is the type of r.
func (r Record) Type() Type {
	switch {
	case !r.Addr.IsValid():
		return TXT
	case r.Addr.Is4():
		return A
	}
	return AAAA
}

// Value is r's value as text: an address, or the TXT string without quotes.
func (r Record) Value() string {
	if r.Addr.IsValid() {
		return r.Addr.String()
	}
	return r.Text
}

// Host is all data of one name. A host that went offline stays, without records, so
// that followers learn what to remove.
type Host struct {
	Name     Name
	Revision uint64   // of the transaction that changed it last; 0: never written
	Session  int64    // Unix microseconds when the session that wrote it began
	TTL      uint32   // seconds
	MadeBy   uint64   // which key's pattern made the name, as Maker tells; 0: none, or not known
	Had      Had      // the types that it has or ever had; the store keeps it
	Records  []Record // A before AAAA before TXT, each type in order of value
}

// Maker is a number for a key, by its fingerprint: the beginning of its SHA-256.
func Maker(fingerprint string) uint64 {
	sum := sha256.Sum256([]byte(fingerprint))
	return max(binary.BigEndian.Uint64(sum[:]), 1)
}

// Addresses returns h's addresses, IPv4 first.
func (h Host) Addresses() []netip.Addr {
	var addrs []netip.Addr
	for _, r := range h.Records {
		if r.Addr.IsValid() {
			addrs = append(addrs, r.Addr)
		}
	}
	return addrs
}

// Equal reports whether h and o would be published alike: same name, TTL and records.
// Lease ends count, revisions do not.
func (h Host) Equal(o Host) bool {
	return h.Name == o.Name && h.TTL == o.TTL && slices.Equal(h.Records, o.Records)
}

// SameValues reports whether a and b, both sorted, differ at most in the ends of their
// leases: a refreshed lease is no change.
func SameValues(a, b []Record) bool {
	return slices.EqualFunc(a, b, func(a, b Record) bool { return a.Addr == b.Addr && a.Text == b.Text })
}

// Sort puts records into the order that Host asks for.
func Sort(records []Record) {
	slices.SortFunc(records, func(a, b Record) int {
		if c := int(typeOrder(a)) - int(typeOrder(b)); c != 0 {
			return c
		}
		if c := a.Addr.Compare(b.Addr); c != 0 {
			return c
		}
		return strings.Compare(a.Text, b.Text)
	})
}

func typeOrder(r Record) int {
	switch r.Type() {
	case A:
		return 0
	case AAAA:
		return 1
	}
	return 2
}
