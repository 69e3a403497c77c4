package tinydns

import "errors"

// errPacket is found in a packet, or a record, that is cut short or wrong.
// The text is djb's.
var errPacket = errors.New("protocol error")

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
