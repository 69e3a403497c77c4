package tinydns

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// encoder turns lines into records of a constant database.
type encoder struct {
	dialect Dialect
	serial  uint32 // of zones whose line leaves it out

	records []byte
	entries []entry  // one for each record; pos counts from records[0]
	serials []uint32 // where in records serial stands
	data    int      // where in records the data of the last record begins

	owner, server, text []byte // scratch of one line
}

func (e *encoder) reset() {
	e.records, e.entries, e.serials = e.records[:0], e.entries[:0], e.serials[:0]
}

// readOwner reads the name that a line's records belong to.
func (e *encoder) readOwner(fqdn []byte) (err error) {
	e.owner, err = appendName(e.owner[:0], fqdn)
	return err
}

// readServer reads the name x that a line refers to. Without a dot it is
// short for x.ns.fqdn, or what else infix says; the completion is one of text,
// so that a backslash at the end of x takes the dot's meaning.
func (e *encoder) readServer(x []byte, infix string, fqdn []byte) (err error) {
	if infix != "" && bytes.IndexByte(x, '.') < 0 {
		e.text = append(append(append(e.text[:0], x...), infix...), fqdn...)
		x = e.text
	}
	e.server, err = appendName(e.server[:0], x)
	return err
}

// begin starts a record: all of it up to the rdata. A first label * goes, and
// marks the record as one for all names below. Rdata is appended to
// e.records, then comes finish.
func (e *encoder) begin(owner []byte, kind uint16, v validity) {
	mark := byte('=')
	if isWildcard(owner) {
		owner, mark = owner[2:], '*'
	}
	e.add(owner, 'a'-'A')
	r := append(e.records, byte(kind>>8), byte(kind))
	if v.lo == [2]byte{} {
		r = append(r, mark)
	} else {
		r = append(r, mark+1, v.lo[0], v.lo[1])
	}
	r = binary.BigEndian.AppendUint32(r, uint32(v.ttl))
	e.records = binary.BigEndian.AppendUint64(r, v.timestamp)
}

// isWildcard reports whether the first label of a name in wire form is *.
func isWildcard(name []byte) bool { return name[0] == 1 && name[1] == '*' }

// add starts an entry of the database: lengths and key, with fold added to
// each capital letter.
func (e *encoder) add(key []byte, fold byte) {
	at := len(e.records)
	r := binary.LittleEndian.AppendUint32(e.records, uint32(len(key)))
	r = append(r, 0, 0, 0, 0)
	hash := hashStart
	for _, c := range key {
		if 'A' <= c && c <= 'Z' {
			c += fold
		}
		r = append(r, c)
		hash = hash*33 ^ uint32(c)
	}
	e.records, e.data = r, len(r)
	e.entries = append(e.entries, entry{hash, uint32(at)})
}

// finish completes the entry: the length of its data.
func (e *encoder) finish() {
	at := e.entries[len(e.entries)-1].pos
	binary.LittleEndian.PutUint32(e.records[at+4:], uint32(len(e.records)-e.data))
}

// a adds an A record.
func (e *encoder) a(owner []byte, ip [4]byte, v validity) {
	e.begin(owner, typeA, v)
	e.records = append(e.records, ip[:]...)
	e.finish()
}

// aaaa adds an AAAA record, and with reverse its PTR record.
func (e *encoder) aaaa(owner []byte, ip [16]byte, v validity, reverse bool) {
	e.begin(owner, typeAAAA, v)
	e.records = append(e.records, ip[:]...)
	e.finish()
	if reverse {
		e.server = appendReverse6(e.server[:0], ip)
		e.begin(e.server, typePTR, v)
		e.records = append(e.records, owner...)
		e.finish()
	}
}

// strings adds text in strings of up to 127 bytes.
func (e *encoder) strings(text []byte) {
	for len(text) > 0 {
		n := min(len(text), 127)
		e.records = append(append(e.records, byte(n)), text[:n]...)
		text = text[n:]
	}
}

// appendReverse appends the wire form of d.c.b.a.in-addr.arpa.
func appendReverse(dst []byte, ip [4]byte) []byte {
	for i := 3; i >= 0; i-- {
		length := len(dst)
		dst = strconv.AppendUint(append(dst, 0), uint64(ip[i]), 10)
		dst[length] = byte(len(dst) - length - 1)
	}
	return append(dst, "\x07in-addr\x04arpa\x00"...)
}

// appendReverse6 appends the wire form of the name below ip6.arpa (RFC 3596,
// section 2.5).
func appendReverse6(dst []byte, ip [16]byte) []byte {
	const digits = "0123456789abcdef"
	for i := 15; i >= 0; i-- {
		dst = append(dst, 1, digits[ip[i]&15], 1, digits[ip[i]>>4])
	}
	return append(dst, "\x03ip6\x04arpa\x00"...)
}

// soaNumbers appends serial, refresh, retry, expire and minimum; those that
// have no number in their field, or no field, as the format leaves them.
func (e *encoder) soaNumbers(from [][]byte) {
	for i := range 5 {
		var given uint64
		var ok bool
		if i < len(from) {
			given, ok = number(from[i])
		}
		n := uint32(given)
		switch {
		case ok:
		case i == 0:
			e.serials = append(e.serials, uint32(len(e.records)))
			n = e.serial
		default:
			n = soaTimers[i-1]
		}
		e.records = binary.BigEndian.AppendUint32(e.records, n)
	}
}

// A record as the encoder makes it, for an owner whose lines say no location: its key
// length and data length; the key; a type of 2 bytes, a mark, the TTL, the timestamp.
const (
	recordHead = 8
	recordMark = 2
	recordTTL  = 3
	recordTime = 7
	recordData = 15
)

// cutRecord splits records after the first one.
func cutRecord(records []byte) (key, data, rest []byte) {
	n := recordHead + binary.LittleEndian.Uint32(records)
	end := n + binary.LittleEndian.Uint32(records[4:])
	return records[recordHead:n], records[n:end], records[end:]
}
