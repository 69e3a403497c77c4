package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"

	"dnsgate/internal/records"
)

// A host is held in memory, and behind seal on disk, as
//
//	uvarint revision, uvarint logged, varint session, uvarint TTL,
//	the tag byte 1 and 8 bytes of MadeBy, if there is one,
//	the tag byte 2 and a byte of Had,
//	then each record: tag byte (4, 6, or the TXT's length plus 16 as uvarint),
//	the address or text, varint expires
//
// where logged is the revision of the host's last line in the log.

const (
	tagMadeBy = 1 // since format version 2
	tagHad    = 2 // since format version 3
	tagA      = 4
	tagAAAA   = 6
	tagText   = 16 // and more: the length of the text on top
)

var errTruncated = errors.New("value ends too early")

func encodeHost(b []byte, h records.Host, logged uint64) []byte {
	b = binary.AppendUvarint(b, h.Revision)
	b = binary.AppendUvarint(b, logged)
	b = binary.AppendVarint(b, h.Session)
	b = binary.AppendUvarint(b, uint64(h.TTL))
	if h.MadeBy != 0 {
		b = binary.BigEndian.AppendUint64(append(b, tagMadeBy), h.MadeBy)
	}
	b = append(b, tagHad, byte(h.Had))
	for _, r := range h.Records {
		switch r.Type() {
		case records.A:
			a := r.Addr.As4()
			b = append(append(b, tagA), a[:]...)
		case records.AAAA:
			a := r.Addr.As16()
			b = append(append(b, tagAAAA), a[:]...)
		default:
			b = binary.AppendUvarint(b, uint64(tagText+len(r.Text)))
			b = append(b, r.Text...)
		}
		b = binary.AppendVarint(b, r.Expires)
	}
	return b
}

// decoder reads a value front to back; after an error it stays at its end.
type decoder struct {
	rest string
	err  error
}

func (d *decoder) uvarint() uint64 {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		s := d.bytes(1)
		if d.err != nil {
			return 0
		}
		v |= uint64(s[0]&0x7f) << shift
		if s[0] < 0x80 {
			return v
		}
	}
	d.err = errors.New("number too large")
	return 0
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) bytes(n int) string {
	if d.err != nil || n > len(d.rest) {
		if d.err == nil {
			d.err = errTruncated
		}
		d.rest = ""
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) record() (r records.Record) {
	switch tag := d.uvarint(); {
	case d.err != nil:
	case tag == tagA:
		var a [4]byte
		copy(a[:], d.bytes(4))
		r.Addr = netip.AddrFrom4(a)
	case tag == tagAAAA:
		var a [16]byte
		copy(a[:], d.bytes(16))
		r.Addr = netip.AddrFrom16(a)
	case tag > tagText && tag <= tagText+records.MaxText:
		r.Text = d.bytes(int(tag - tagText))
	default:
		d.err = fmt.Errorf("unknown record tag %d", tag)
	}
	r.Expires = d.varint()
	return r
}

// decodeHost reads a host's value. Its records are appended to arena, so that
// many hosts can share one allocation.
func decodeHost(name records.Name, value string, arena []records.Record) (h records.Host, logged uint64, _ []records.Record, err error) {
	d := decoder{rest: value}
	h.Name = name
	h.Revision = d.uvarint()
	logged = d.uvarint()
	h.Session = d.varint()
	h.TTL = uint32(d.uvarint())
	if d.rest != "" && d.rest[0] == tagMadeBy {
		d.bytes(1)
		if by := d.bytes(8); d.err == nil {
			h.MadeBy = binary.BigEndian.Uint64([]byte(by))
		}
	}
	h.Had = records.HadUnknown
	if d.rest != "" && d.rest[0] == tagHad {
		d.bytes(1)
		if had := d.bytes(1); d.err == nil {
			h.Had = records.Had(had[0])
		}
	}
	start := len(arena)
	for d.rest != "" && d.err == nil {
		arena = append(arena, d.record())
	}
	if len(arena) > start {
		h.Records = arena[start:len(arena):len(arena)]
		h.Had = h.Had.With(h.Records)
	}
	return h, logged, arena, d.err
}

// openHost reads a host as it stands in the file, and checks its name too.
func openHost(key, sealed []byte) (staged, error) {
	value, err := unseal(key, sealed)
	if err != nil {
		return staged{}, fmt.Errorf("host %q: %w", key, err)
	}
	name, err := records.ParseStored(string(key))
	if err != nil || string(name) != string(key) {
		return staged{}, fmt.Errorf("host %q: not a name in canonical form", key)
	}
	h, logged, _, err := decodeHost(name, string(value), nil)
	if err != nil {
		return staged{}, fmt.Errorf("host %q: %w", key, err)
	}
	return staged{h, logged, string(value)}, nil
}

// seal puts a format version and a CRC-32C over key and value in front of a
// value, because bbolt does not checksum its data pages.
func seal(b []byte, key, value []byte) []byte {
	b = append(b, sealVersion)
	b = binary.BigEndian.AppendUint32(b, checksum(key, value))
	return append(b, value...)
}

// unseal returns the value that seal was given, after checking it.
func unseal(key, sealed []byte) ([]byte, error) {
	if len(sealed) < 5 {
		return nil, errTruncated
	}
	if sealed[0] == 0 || sealed[0] > sealVersion {
		return nil, fmt.Errorf("format version %d is not known to this dnsgate", sealed[0])
	}
	value := sealed[5:]
	if binary.BigEndian.Uint32(sealed[1:5]) != checksum(key, value) {
		return nil, errors.New("checksum does not match: the file is damaged")
	}
	return value, nil
}

// sealVersion is the format that is written; 1 had no MadeBy, 2 no Had, and
// both are still read.
const sealVersion = 3

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}
