package tinydns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Owner is the records of one dynamic name.
type Owner struct {
	// Name is dotted and in lower case, of letters, digits, hyphens and underscores. A
	// first label * makes the records those of all names below.
	Name   string
	TTL    uint32  // seconds
	Values []Value // none to take the owner away
}

// Value is an address or a text.
type Value struct {
	Addr  netip.Addr // invalid for a text
	Text  string
	Until int64 // as in appendTXT
}

var errNamePlain = errors.New("not a name of lower-case letters, digits, hyphens, underscores and dots")

// check is an error if the name cannot be that of an owner: read from its records, it
// would be another one.
func (o *Owner) check() error {
	plain := false // the last byte is of a label
	for i := range len(o.Name) {
		switch c := o.Name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_',
			c == '*' && i == 0 && len(o.Name) > 2 && o.Name[1] == '.':
			plain = true
		case c == '.' && plain:
			plain = false
		default:
			return fmt.Errorf("%q: %w", o.Name, errNamePlain)
		}
	}
	if !plain {
		return fmt.Errorf("%q: %w", o.Name, errNamePlain)
	}
	var wire [256]byte
	if _, err := appendName(wire[:0], []byte(o.Name)); err != nil {
		return fmt.Errorf("%q: %w", o.Name, err)
	}
	return nil
}

// AppendLines appends the data lines of o, as the Builder writes them.
func (o *Owner) AppendLines(dst []byte, dialect Dialect) []byte {
	for _, v := range o.Values {
		if v.Addr.IsValid() {
			dst = appendAddress(dst, dialect, o.Name, v.Addr, o.TTL, v.Until)
		} else {
			dst = appendTXT(dst, o.Name, v.Text, o.TTL, v.Until)
		}
	}
	return dst
}

// ownerRecords encodes what AppendLines writes.
func (e *encoder) ownerRecords(o *Owner) error {
	e.text = append(e.text[:0], o.Name...)
	if err := e.readOwner(e.text); err != nil {
		return fmt.Errorf("%q: %w", o.Name, err)
	}
	for _, value := range o.Values {
		v := validity{ttl: uint64(o.TTL), timestamp: endLabel(o.TTL, value.Until)}
		switch addr := value.Addr.Unmap(); {
		case addr.Is4():
			e.a(e.owner, addr.As4(), v)
		case addr.Is6():
			e.aaaa(e.owner, addr.As16(), v, e.dialect == Fefe && !isWildcard(e.owner))
		default:
			e.text = append(e.text[:0], value.Text...)
			e.begin(e.owner, typeTXT, v)
			e.strings(e.text)
			e.finish()
		}
	}
	return nil
}

// appendOwnerName appends the name of an owner with these records.
func appendOwnerName(dst, records []byte) []byte {
	key, data, _ := cutRecord(records)
	if data[recordMark] == '*' {
		dst = append(dst, '*', '.')
	}
	for {
		n := int(key[0])
		dst = append(dst, key[1:1+n]...)
		if key = key[1+n:]; key[0] == 0 {
			return dst
		}
		dst = append(dst, '.')
	}
}

// appendOwnerLines appends the lines of the owner with these records: it undoes
// ownerRecords.
func appendOwnerLines(dst []byte, dialect Dialect, records []byte) []byte {
	var longest [256]byte
	name := appendOwnerName(longest[:0], records)
	var text []byte
	for len(records) > 0 {
		var data []byte
		_, data, records = cutRecord(records)
		ttl, until := binary.BigEndian.Uint32(data[recordTTL:]), int64(0)
		if label := binary.BigEndian.Uint64(data[recordTime:]); label != 0 {
			until = int64(label - taiEpoch)
		}
		rdata := data[recordData:]
		switch binary.BigEndian.Uint16(data) {
		case typeA:
			dst = appendAddress(dst, dialect, name, netip.AddrFrom4([4]byte(rdata)), ttl, until)
		case typeAAAA:
			dst = appendAddress(dst, dialect, name, netip.AddrFrom16([16]byte(rdata)), ttl, until)
		case typeTXT:
			for text = text[:0]; len(rdata) > 0; rdata = rdata[1+rdata[0]:] {
				text = append(text, rdata[1:1+rdata[0]]...)
			}
			dst = appendTXT(dst, name, text, ttl, until)
		case typePTR: // the line of the AAAA record before stands for both
		}
	}
	return dst
}
