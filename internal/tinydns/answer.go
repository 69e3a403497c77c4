package tinydns

import (
	"encoding/binary"
	"time"
)

// answer looks up what tinydns would answer to one query.
type answer struct {
	db     *reader
	lo     [2]byte // the client's location
	now    uint64  // TAI64
	random random
	*message

	// The record that the last find was about.
	buf   []byte
	data  parser // at the rdata
	kind  uint16
	ttl   uint32
	found *search
}

// respond answers the query for kind at name, in lower case, as tinydns does
// for the client. Without an answer, or where the database is damaged, it
// returns nil: tinydns does not reply then.
func respond(db *reader, name []byte, kind uint16, client [4]byte, m *message, now time.Time) *message {
	a := &answer{db: db, now: uint64(taiEpoch + now.Unix()), message: m}
	if !a.locate(client) || !a.answer(name, kind) || a.failed {
		return nil
	}
	return a.message
}

// answer fills the message. It returns false where tinydns does not reply.
func (a *answer) answer(name []byte, kind uint16) bool {
	zone, authoritative, ok := a.zone(name)
	if !ok {
		return false
	}
	begin := len(a.bytes)
	if authoritative {
		if !a.answers(name, zone, kind) {
			return false
		}
	} else {
		a.bytes[2] &^= 4 // the name is in a child zone
	}
	authority := len(a.bytes)
	if !a.authority(zone, authoritative && authority == begin) {
		return false
	}
	additional := len(a.bytes)
	if !a.additional(begin, additional) {
		return false
	}
	if authoritative && len(a.bytes) > 512 {
		a.cut(additionals, additional)
		if len(a.bytes) > 512 {
			a.cut(authorities, authority)
		}
	}
	return true
}

// cut removes a section, and what is behind it.
func (a *answer) cut(section, at int) {
	if !a.failed {
		a.setCount(section, 0)
		a.bytes = a.bytes[:at]
	}
}

// zone finds the closest name with NS records, from name upwards, and whether
// the SOA record there makes this server its authority.
func (a *answer) zone(name []byte) (zone []byte, authoritative, ok bool) {
	for zone = name; ; zone = zone[1+zone[0]:] {
		ns, soa := false, false
		if a.start(zone) != nil {
			return nil, false, false
		}
		for {
			ok, err := a.next(false)
			if err != nil {
				return nil, false, false
			}
			if !ok {
				break
			}
			ns = ns || a.kind == typeNS
			soa = soa || a.kind == typeSOA
		}
		if ns {
			return zone, soa, true
		}
		if zone[0] == 0 {
			return nil, false, false
		}
	}
}

// answers adds the records at name, or else those for all names below the
// closest name above it that has any, up to zone.
func (a *answer) answers(name, zone []byte, kind uint16) bool {
	soaGiven := false
	for at := name; ; at = at[1+at[0]:] {
		found := false
		var addresses eightAddresses
		if a.start(at) != nil {
			return false
		}
		for {
			ok, err := a.next(len(at) != len(name))
			if err != nil {
				return false
			}
			if !ok {
				break
			}
			found = true
			if soaGiven && a.kind == typeSOA {
				continue
			}
			if a.kind != kind && kind != typeANY && a.kind != typeCNAME {
				continue
			}
			if rdata := a.rdata(); a.kind == typeA && len(rdata) == 4 {
				addresses.add([4]byte(rdata), a.ttl, &a.random)
				continue
			}
			if !a.addRecord(name, answers) {
				return false
			}
			soaGiven = soaGiven || a.kind == typeSOA
		}
		for _, ip := range addresses.kept() {
			a.begin(name, typeA, addresses.ttl)
			a.add(ip[:])
			a.finish(answers)
		}
		if found {
			return !a.failed
		}
		if len(at) == len(zone) || at[0] == 0 {
			a.bytes[3] |= 3 // no such name
			return !a.failed
		}
	}
}

// rdata is what is left of the record.
func (a *answer) rdata() []byte { return a.data.packet[a.data.at:] }

// addRecord adds the record that was found, its names compressed.
func (a *answer) addRecord(name []byte, section int) bool {
	a.begin(name, a.kind, a.ttl)
	switch a.kind {
	case typeNS, typeCNAME, typePTR:
		a.copyNames(1)
	case typeMX:
		a.copyBytes(2)
		a.copyNames(1)
	case typeSOA:
		a.copyNames(2)
		a.copyBytes(20)
	default:
		a.add(a.rdata())
	}
	if a.data.err != nil || a.failed {
		return false
	}
	a.finish(section)
	return true
}

func (a *answer) copyNames(n int) {
	for range n {
		if name := a.data.name(); a.data.err == nil {
			a.addName(name)
		}
	}
}

func (a *answer) copyBytes(n int) {
	if b := a.data.bytes(n); a.data.err == nil {
		a.add(b)
	}
}

// authority adds the zone's SOA record if nothing was found, else its NS
// records, unless the answer has them already.
func (a *answer) authority(zone []byte, nothing bool) bool {
	kind := uint16(typeNS)
	if nothing {
		kind = typeSOA
	} else if a.has(zone, typeNS) {
		return true
	}
	if a.start(zone) != nil {
		return false
	}
	for {
		ok, err := a.next(false)
		if err != nil {
			return false
		}
		if !ok {
			return true
		}
		if a.kind != kind {
			continue
		}
		if !a.addRecord(zone, authorities) {
			return false
		}
		if nothing {
			return true
		}
	}
}

// additional adds the addresses of the servers that the records between begin
// and end name.
func (a *answer) additional(begin, end int) bool {
	p := parser{packet: a.bytes[:end], at: begin}
	for p.at < end {
		p.skipName()
		fixed := p.bytes(10)
		if p.err != nil {
			return false
		}
		kind, length := binary.BigEndian.Uint16(fixed), int(binary.BigEndian.Uint16(fixed[8:]))
		server := parser{packet: p.packet, at: p.at}
		p.at += length
		switch kind {
		case typeMX:
			server.at += 2
		case typeNS:
		default:
			continue
		}
		name := server.name()
		if server.err != nil || !a.addresses(name) {
			return false
		}
	}
	return true
}

// addresses adds the addresses of a server, unless they are there already.
func (a *answer) addresses(name []byte) bool {
	for i := range name {
		name[i] = lower(name[i])
	}
	if a.has(name, typeA) {
		return true
	}
	if a.start(name) != nil {
		return false
	}
	for {
		ok, err := a.next(false)
		if err != nil {
			return false
		}
		if !ok {
			return true
		}
		if a.kind != typeA {
			continue
		}
		a.begin(name, typeA, a.ttl)
		a.copyBytes(4)
		if a.data.err != nil || a.failed {
			return false
		}
		a.finish(additionals)
	}
}
