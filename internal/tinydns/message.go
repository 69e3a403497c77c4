package tinydns

import "encoding/binary"

// message is a DNS message (RFC 1035, section 4), built as tinydns does: with
// its limits on size and on the names that later ones are compressed to.
type message struct {
	bytes  []byte
	names  []compressed
	rdata  int  // where the rdata of the current record begins
	failed bool // something did not fit
}

type compressed struct {
	name string // wire form
	at   int
}

const (
	maxMessage    = 65535
	maxCompressed = 100
)

// The places of the counters in a message's header.
const (
	answers     = 6
	authorities = 8
	additionals = 10
)

// newMessage starts the authoritative answer to a query.
func newMessage(name []byte, kind uint16) *message {
	m := &message{bytes: []byte{0, 0, 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0}}
	m.addName(name)
	m.add(binary.BigEndian.AppendUint16(nil, kind))
	m.add([]byte{0, 1})
	return m
}

func (m *message) add(b []byte) {
	if m.failed = m.failed || len(b) > maxMessage-len(m.bytes); !m.failed {
		m.bytes = append(m.bytes, b...)
	}
}

// addName adds a name, as far as it is not in the message already.
func (m *message) addName(name []byte) {
	for name[0] != 0 {
		for _, c := range m.names {
			if equalFold(c.name, name) {
				m.add(binary.BigEndian.AppendUint16(nil, uint16(0xc000+c.at)))
				return
			}
		}
		if len(name) <= 128 && len(m.bytes) < 1<<14 && len(m.names) < maxCompressed {
			m.names = append(m.names, compressed{string(name), len(m.bytes)})
		}
		n := 1 + int(name[0])
		m.add(name[:n])
		name = name[n:]
	}
	m.add(name[:1])
}

// begin starts a record; its rdata follows, then finish.
func (m *message) begin(name []byte, kind uint16, ttl uint32) {
	m.addName(name)
	m.add(binary.BigEndian.AppendUint16(nil, kind))
	m.add([]byte{0, 1})
	m.add(binary.BigEndian.AppendUint32(nil, ttl))
	m.add([]byte{0, 0})
	m.rdata = len(m.bytes)
}

// finish ends a record, and counts it in its section.
func (m *message) finish(section int) {
	if !m.failed {
		binary.BigEndian.PutUint16(m.bytes[m.rdata-2:], uint16(len(m.bytes)-m.rdata))
		m.setCount(section, m.count(section)+1)
	}
}

func (m *message) count(section int) uint16 { return binary.BigEndian.Uint16(m.bytes[section:]) }

func (m *message) setCount(section int, n uint16) {
	binary.BigEndian.PutUint16(m.bytes[section:], n)
}

// has tells whether the message has a record of that name and type; a message
// that cannot be read has all of them.
func (m *message) has(name []byte, kind uint16) bool {
	p := parser{packet: m.bytes, at: 12}
	p.skipName()
	p.bytes(4)
	for p.err == nil && p.at < len(p.packet) {
		owner := p.name()
		fixed := p.bytes(10)
		if p.err != nil {
			break
		}
		if binary.BigEndian.Uint16(fixed) == kind && equalFold(string(owner), name) {
			return true
		}
		p.at += int(binary.BigEndian.Uint16(fixed[8:]))
	}
	return p.err != nil
}
