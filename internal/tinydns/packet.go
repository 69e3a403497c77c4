package tinydns

import (
	"encoding/binary"
	"errors"
	"strings"
)

// errPacket is found in a packet, or a record, that is cut short or wrong.
// The text is djb's.
var errPacket = errors.New("protocol error")

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

// parser reads a packet. After an error it returns nothing more.
type parser struct {
	packet []byte
	at     int
	err    error
}

func (p *parser) bytes(n int) []byte {
	if p.err != nil || p.at > len(p.packet) || n > len(p.packet)-p.at {
		p.err = errPacket
		return nil
	}
	p.at += n
	return p.packet[p.at-n : p.at]
}

// skipName goes past a name without reading it.
func (p *parser) skipName() {
	for p.err == nil {
		length := p.bytes(1)
		switch {
		case p.err != nil:
		case length[0] >= 0xc0:
			p.at++
			return
		case length[0] >= 64:
			p.err = errPacket
		case length[0] == 0:
			return
		default:
			p.at += int(length[0])
		}
	}
}

// name reads a name, and leaves compression out of it. It gives up after 1000
// steps, as djbdns does: a name may point at itself.
func (p *parser) name() []byte {
	var name []byte
	after, left := 0, 0
	for steps := 1; ; steps++ {
		c := p.bytes(1)
		if p.err != nil || steps >= 1000 {
			break
		}
		if left == 0 && c[0] >= 0xc0 {
			low := p.bytes(1)
			if p.err != nil {
				break
			}
			if after == 0 {
				after = p.at
			}
			p.at = int(c[0]&0x3f)<<8 | int(low[0])
			continue
		}
		if left == 0 && c[0] >= 64 || len(name) == 255 {
			break
		}
		name = append(name, c[0])
		if left > 0 {
			left--
			continue
		}
		if left = int(c[0]); left == 0 {
			if after > 0 {
				p.at = after
			}
			return name
		}
	}
	p.err = errPacket
	return nil
}

// equalFold compares names in wire form, ASCII letters of either case alike.
// Lengths of labels are below the letters.
func equalFold(a string, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// dotted is the text form of a name in wire form: in lower case, and all but
// letters, digits, hyphens and underscores in octal.
func dotted(name []byte) string {
	if name[0] == 0 {
		return "."
	}
	var b strings.Builder
	for {
		n := int(name[0])
		for _, c := range name[1 : 1+n] {
			c = lower(c)
			if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' {
				b.WriteByte(c)
			} else {
				b.Write(appendOctal(nil, c))
			}
		}
		if name = name[1+n:]; name[0] == 0 {
			return b.String()
		}
		b.WriteByte('.')
	}
}
