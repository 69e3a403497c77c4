// Package tinydns reads and writes the data of djb's tinydns: it compiles the
// lines of a data file to the constant database data.cdb, byte for byte as
// tinydns-data does (Compile), answers from one as tinydns-get does (Get),
// and keeps one up to date at the price of writing it (Builder). It trusts
// nothing that it reads, text or database, and refuses only what
// tinydns-data refuses. It knows the format of djbdns 1.05 with Debian's S
// lines, and on request the 3 and 6 lines of Felix von Leitner's IPv6 patch.
package tinydns

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

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

// line encodes one line, without the newline and trailing blanks.
func (e *encoder) line(line []byte) error {
	if len(line) == 0 {
		return nil
	}
	f := fields(line[1:])
	switch line[0] {
	case '#', '-':
		return nil
	case '%':
		e.clientLocation(f)
		return nil
	case '+', '=':
		return e.host(f, line[0] == '=')
	case '.', '&':
		return e.nameServer(f, line[0] == '.')
	case '@':
		return e.mailExchanger(f)
	case 'S':
		return e.service(f)
	case '^':
		return e.pointer(f, typePTR)
	case 'C':
		return e.pointer(f, typeCNAME)
	case '\'':
		return e.textRecord(f)
	case 'Z':
		return e.startOfAuthority(f)
	case ':':
		return e.generic(f)
	case '3', '6':
		if e.dialect == Fefe {
			return e.host6(f, line[0] == '6')
		}
	}
	return errLeading
}

// clientLocation: %lo:ipprefix
func (e *encoder) clientLocation(f fields) {
	lo := location(f.next())
	e.text = append(e.text[:0], 0, '%')
	e.text = appendPrefix(e.text, f.next())
	e.add(e.text, 0)
	e.records = append(e.records, lo[0], lo[1])
	e.finish()
}

// appendPrefix appends the numbers of an address prefix, each modulo 256, up
// to the first byte that is neither a dot nor a digit.
func appendPrefix(dst, field []byte) []byte {
	for len(field) > 0 {
		if field[0] == '.' {
			field = field[1:]
			continue
		}
		n, ok := number(field)
		if !ok {
			break
		}
		dst = append(dst, byte(n))
		for len(field) > 0 && field[0]-'0' <= 9 {
			field = field[1:]
		}
	}
	return dst
}

// host: +fqdn:ip:ttl:timestamp:lo, and with reverse =fqdn:ip:ttl:timestamp:lo
func (e *encoder) host(f fields, reverse bool) error {
	if err := e.readOwner(f.next()); err != nil {
		return err
	}
	ip, ok := address(f.next())
	v := f.validity(ttlPositive)
	if !ok {
		return nil
	}
	e.a(e.owner, ip, v)
	if reverse {
		e.server = appendReverse(e.server[:0], ip)
		e.begin(e.server, typePTR, v)
		e.records = append(e.records, e.owner...)
		e.finish()
	}
	return nil
}

func (e *encoder) a(owner []byte, ip [4]byte, v validity) {
	e.begin(owner, typeA, v)
	e.records = append(e.records, ip[:]...)
	e.finish()
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

// host6: 3fqdn:ip:ttl:timestamp:lo, and with reverse 6fqdn:ip:ttl:timestamp:lo
func (e *encoder) host6(f fields, reverse bool) error {
	if err := e.readOwner(f.next()); err != nil {
		return err
	}
	ip, ok := address6(f.next())
	v := f.validity(ttlPositive)
	if !ok {
		return nil
	}
	e.begin(e.owner, typeAAAA, v)
	e.records = append(e.records, ip[:]...)
	e.finish()
	if reverse {
		e.server = appendReverse6(e.server[:0], ip)
		e.begin(e.server, typePTR, v)
		e.records = append(e.records, e.owner...)
		e.finish()
	}
	return nil
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

// nameServer: &fqdn:ip:x:ttl:timestamp:lo, and with authority
// .fqdn:ip:x:ttl:timestamp:lo
func (e *encoder) nameServer(f fields, authority bool) error {
	fqdn, host, x := f.next(), f.next(), f.next()
	if err := e.readOwner(fqdn); err != nil {
		return err
	}
	if err := e.readServer(x, ".ns.", fqdn); err != nil {
		return err
	}
	v := f.validity(ttlNS)
	if authority {
		soa := v
		if soa.ttl != 0 {
			soa.ttl = ttlNegative
		}
		e.begin(e.owner, typeSOA, soa)
		e.records = append(e.records, e.server...)
		e.records = append(e.records, "\x0ahostmaster"...)
		e.records = append(e.records, e.owner...)
		e.soaNumbers(nil)
		e.finish()
	}
	e.begin(e.owner, typeNS, v)
	e.records = append(e.records, e.server...)
	e.finish()
	if ip, ok := address(host); ok {
		e.a(e.server, ip, v)
	}
	return nil
}

// mailExchanger: @fqdn:ip:x:dist:ttl:timestamp:lo
func (e *encoder) mailExchanger(f fields) error {
	fqdn, host, x := f.next(), f.next(), f.next()
	if err := e.readOwner(fqdn); err != nil {
		return err
	}
	if err := e.readServer(x, ".mx.", fqdn); err != nil {
		return err
	}
	distance := f.number(0)
	v := f.validity(ttlPositive)
	e.begin(e.owner, typeMX, v)
	e.records = binary.BigEndian.AppendUint16(e.records, uint16(distance))
	e.records = append(e.records, e.server...)
	e.finish()
	if ip, ok := address(host); ok {
		e.a(e.server, ip, v)
	}
	return nil
}

// service: Sfqdn:ip:x:port:priority:weight:ttl:timestamp:lo
func (e *encoder) service(f fields) error {
	fqdn, host, x := f.next(), f.next(), f.next()
	if err := e.readOwner(fqdn); err != nil {
		return err
	}
	if err := e.readServer(x, ".srv.", fqdn); err != nil {
		return err
	}
	port, ok := number(f.next())
	if !ok {
		return errNoPort
	}
	priority, weight := f.number(0), f.number(0)
	v := f.validity(ttlPositive)
	e.begin(e.owner, typeSRV, v)
	e.records = binary.BigEndian.AppendUint16(e.records, uint16(priority))
	e.records = binary.BigEndian.AppendUint16(e.records, uint16(weight))
	e.records = binary.BigEndian.AppendUint16(e.records, uint16(port))
	e.records = append(e.records, e.server...)
	e.finish()
	if ip, ok := address(host); ok {
		e.a(e.server, ip, v)
	}
	return nil
}

// pointer: ^fqdn:p:ttl:timestamp:lo and Cfqdn:p:ttl:timestamp:lo
func (e *encoder) pointer(f fields, kind uint16) error {
	if err := e.readOwner(f.next()); err != nil {
		return err
	}
	if err := e.readServer(f.next(), "", nil); err != nil {
		return err
	}
	e.begin(e.owner, kind, f.validity(ttlPositive))
	e.records = append(e.records, e.server...)
	e.finish()
	return nil
}

// textRecord: 'fqdn:s:ttl:timestamp:lo
func (e *encoder) textRecord(f fields) error {
	if err := e.readOwner(f.next()); err != nil {
		return err
	}
	e.text = appendText(e.text[:0], f.next())
	e.begin(e.owner, typeTXT, f.validity(ttlPositive))
	for s := e.text; len(s) > 0; {
		n := min(len(s), 127)
		e.records = append(e.records, byte(n))
		e.records = append(e.records, s[:n]...)
		s = s[n:]
	}
	e.finish()
	return nil
}

// startOfAuthority: Zfqdn:mname:rname:ser:ref:ret:exp:min:ttl:timestamp:lo
func (e *encoder) startOfAuthority(f fields) error {
	if err := e.readOwner(f.next()); err != nil {
		return err
	}
	mname, rname := f.next(), f.next()
	numbers := [5][]byte{f.next(), f.next(), f.next(), f.next(), f.next()}
	e.begin(e.owner, typeSOA, f.validity(ttlNegative))
	var err error
	if e.records, err = appendName(e.records, mname); err != nil {
		return err
	}
	if e.records, err = appendName(e.records, rname); err != nil {
		return err
	}
	e.soaNumbers(numbers[:])
	e.finish()
	return nil
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

// prohibited are the types that a generic line may not have, as they have
// lines of their own or, as queries, cannot be data.
var prohibited = map[uint16]string{
	0: "0", typeNS: "NS", typeCNAME: "CNAME", typeSOA: "SOA",
	typePTR: "PTR", typeMX: "MX", typeAXFR: "AXFR",
}

// generic: :fqdn:n:rdata:ttl:timestamp:lo
func (e *encoder) generic(f fields) error {
	if err := e.readOwner(f.next()); err != nil {
		return err
	}
	kind := uint16(f.number(0))
	if name, ok := prohibited[kind]; ok {
		return fmt.Errorf("type %s prohibited", name)
	}
	rdata := f.next()
	e.begin(e.owner, kind, f.validity(ttlPositive))
	e.records = appendText(e.records, rdata)
	e.finish()
	return nil
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
	if infix != "" && !hasDot(x) {
		e.text = append(append(append(e.text[:0], x...), infix...), fqdn...)
		x = e.text
	}
	e.server, err = appendName(e.server[:0], x)
	return err
}

func hasDot(x []byte) bool {
	for _, c := range x {
		if c == '.' {
			return true
		}
	}
	return false
}

// begin starts a record: all of it up to the rdata. A first label * goes, and
// marks the record as one for all names below. Rdata is appended to
// e.records, then comes finish.
func (e *encoder) begin(owner []byte, kind uint16, v validity) {
	mark := byte('=')
	if owner[0] == 1 && owner[1] == '*' {
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
