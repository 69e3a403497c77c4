package tinydns

import (
	"encoding/binary"
	"fmt"
)

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
	ip, n := address(f.next())
	v := f.validity(ttlPositive)
	if n == 0 {
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
	e.aaaa(e.owner, ip, v, reverse)
	return nil
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
	if ip, n := address(host); n > 0 {
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
	if ip, n := address(host); n > 0 {
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
	if ip, n := address(host); n > 0 {
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
	e.strings(e.text)
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
