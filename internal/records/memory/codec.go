package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"dnsgate/internal/records"
)

// Entry is a host as a store keeps it.
type Entry struct {
	records.Host
	Logged uint64 // revision of the host's last line in the log; 0: it has none
}

// An entry is held in memory behind its name, and behind a seal on disk, as
//
//	uvarint revision, uvarint logged, varint session, uvarint TTL,
//	the tag byte 1 and 8 bytes of MadeBy, if there is one,
//	the tag byte 2 and a byte of Had,
//	then each record: tag byte (4, 6, or the TXT's length plus 16 as uvarint),
//	the address or text, varint expires

const (
	tagMadeBy = 1 // since format version 2
	tagHad    = 2 // since format version 3
	tagA      = 4
	tagAAAA   = 6
	tagText   = 16 // and more: the length of the text on top
)

func encode(b []byte, h Entry) []byte {
	b = binary.AppendUvarint(b, h.Revision)
	b = binary.AppendUvarint(b, h.Logged)
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
			d.err = ErrTruncated
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
		r.Text = strings.Clone(d.bytes(int(tag - tagText)))
	default:
		d.err = fmt.Errorf("unknown record tag %d", tag)
	}
	r.Expires = d.varint()
	return r
}

// head reads what stands before the records.
func (d *decoder) head() (e Entry) {
	e.Revision = d.uvarint()
	e.Logged = d.uvarint()
	e.Session = d.varint()
	e.TTL = uint32(d.uvarint())
	if d.rest != "" && d.rest[0] == tagMadeBy {
		d.bytes(1)
		if by := d.bytes(8); d.err == nil {
			e.MadeBy = binary.BigEndian.Uint64([]byte(by))
		}
	}
	e.Had = records.HadUnknown
	if d.rest != "" && d.rest[0] == tagHad {
		d.bytes(1)
		if had := d.bytes(1); d.err == nil {
			e.Had = records.Had(had[0])
		}
	}
	return e
}

// decode reads a host's value, of which nothing is kept. Its records are appended to
// arena, so that many hosts can share one allocation.
func decode(name records.Name, value string, arena []records.Record) (e Entry, _ []records.Record, err error) {
	d := decoder{rest: value}
	e = d.head()
	e.Name = name
	start := len(arena)
	for d.rest != "" && d.err == nil {
		arena = append(arena, d.record())
	}
	if len(arena) > start {
		e.Records = arena[start:len(arena):len(arena)]
		e.Had = e.Had.With(e.Records)
	}
	return e, arena, d.err
}

// A slot is the length of a host's name in a byte, the name and the value.

func slot(e Entry) string {
	var most [256]byte // nearly always
	return string(encode(append(append(most[:0], byte(len(e.Name))), e.Name...), e))
}

func nameOf(slot string) records.Name { return records.Name(slot[1 : 1+slot[0]]) }

// keptName is the name in memory of its own. One that is part of a slot keeps its whole
// pack, which is a copy more with each change.
func keptName(slot string) records.Name { return records.Name(strings.Clone(string(nameOf(slot)))) }

func valueOf(slot string) string { return slot[1+int(slot[0]):] }

func revisionOf(slot string) uint64 {
	d := decoder{rest: valueOf(slot)}
	return d.uvarint()
}

// Slot is a host as an Index holds it.
type Slot struct {
	text string
	summary
}

// Revision is that of the host.
func (s Slot) Revision() uint64 { return s.revision }

// summary is what an Index counts.
type summary struct {
	revision, madeBy uint64
	live             bool // it has records
}

// summarize checks a whole value, and allocates nothing.
func summarize(value string) (summary, error) {
	d := decoder{rest: value}
	e := d.head()
	s := summary{e.Revision, e.MadeBy, d.rest != ""}
	for d.rest != "" && d.err == nil {
		d.record()
	}
	return s, d.err
}

// open reads a host, of whose slot nothing is kept.
func open(slot string, arena []records.Record) (Entry, []records.Record) {
	e, arena, _ := decode(keptName(slot), valueOf(slot), arena)
	return e, arena
}
