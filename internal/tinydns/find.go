package tinydns

import "encoding/binary"

// maxRecord is the most data, in bytes, that tinydns takes from one entry.
const maxRecord = 32767

// locate finds the client's location: that of the longest prefix.
func (a *answer) locate(client [4]byte) bool {
	key := append([]byte{0, '%'}, client[:]...)
	for n := len(key); n >= 2; n-- {
		s, err := a.db.search(key[:n])
		if err != nil {
			return false
		}
		pos, length, ok, err := s.next()
		if err != nil {
			return false
		}
		if ok {
			return length != 2 || a.db.read(a.lo[:], pos) == nil
		}
	}
	return true
}

// start begins to look for the records at name.
func (a *answer) start(name []byte) (err error) {
	a.found, err = a.db.search(name)
	return err
}

// next finds the next record that is visible to the client now: of those for
// all names below if wild is set, else of the others.
func (a *answer) next(wild bool) (ok bool, err error) {
	for {
		pos, length, ok, err := a.found.next()
		if err != nil || !ok {
			return false, err
		}
		if length > maxRecord {
			return false, errFormat
		}
		if cap(a.buf) < int(length) {
			a.buf = make([]byte, maxRecord)
		}
		if err := a.db.read(a.buf[:length], pos); err != nil {
			return false, err
		}
		a.data = parser{packet: a.buf[:length]}
		visible := a.readHead(wild)
		if a.data.err != nil {
			return false, a.data.err
		}
		if visible {
			return true, nil
		}
	}
}

// readHead reads what stands before the rdata, and tells whether the record is
// visible.
func (a *answer) readHead(wild bool) bool {
	p := &a.data
	kind, mark := p.bytes(2), p.bytes(1)
	if p.err != nil {
		return false
	}
	m := mark[0]
	if m == '='+1 || m == '*'+1 {
		m--
		if lo := p.bytes(2); p.err != nil || string(lo) != string(a.lo[:]) {
			return false
		}
	}
	if wild != (m == '*') {
		return false
	}
	ttl, label := p.bytes(4), p.bytes(8)
	if p.err != nil {
		return false
	}
	a.kind, a.ttl = binary.BigEndian.Uint16(kind), binary.BigEndian.Uint32(ttl)
	return a.inTime(binary.BigEndian.Uint64(label))
}

// inTime tells whether a record with that timestamp is visible now. With a
// time to live it is so after the timestamp; without, before it, and the time
// to live is what remains.
func (a *answer) inTime(label uint64) bool {
	switch {
	case label == 0:
		return true
	case a.ttl != 0:
		return label < a.now
	case label < a.now:
		return false
	}
	a.ttl = uint32(min(max(label-a.now, 2), 3600))
	return true
}
