package memory

import "encoding/binary"

// slots are the texts of hosts by number. They are packed, sixteen numbers to a string,
// each text behind its length, because a string of its own costs a host 30 bytes more:
// its header, and what the allocator rounds up. A pack is never changed, but replaced.
type slots struct {
	packs []string
	count int // numbers given out
}

const packed = 16

// newSlots has room for a number of hosts.
func newSlots(hosts int) slots { return slots{packs: make([]string, 0, (hosts+packed-1)/packed)} }

// at is the text of a number: part of a pack, so it is not to be kept. "" is a host that
// was forgotten.
func (s *slots) at(number uint32) string {
	_, text, _ := cutPack(s.packs[number/packed], int(number%packed))
	return text
}

// cutPack splits a pack around one of its texts.
func cutPack(pack string, n int) (before, text, after string) {
	d := decoder{rest: pack}
	for range n {
		d.bytes(int(d.uvarint()))
	}
	before = pack[:len(pack)-len(d.rest)]
	text = d.bytes(int(d.uvarint()))
	return before, text, d.rest
}

// set replaces the text of a number.
func (s *slots) set(number uint32, text string) {
	before, _, after := cutPack(s.packs[number/packed], int(number%packed))
	var room [2048]byte // nearly always
	next := appendText(append(room[:0], before...), text)
	s.packs[number/packed] = string(append(next, after...))
}

// add gives out the next numbers, and returns the first.
func (s *slots) add(texts ...string) uint32 {
	first := uint32(s.count)
	for len(texts) > 0 {
		var room [2048]byte
		pack := room[:0]
		last := s.count / packed
		if last < len(s.packs) {
			pack = append(pack, s.packs[last]...)
		} else {
			s.packs = append(s.packs, "")
		}
		n := min(len(texts), packed-s.count%packed)
		for _, text := range texts[:n] {
			pack = appendText(pack, text)
		}
		s.packs[last] = string(pack)
		s.count += n
		texts = texts[n:]
	}
	return first
}

func appendText(pack []byte, text string) []byte {
	return append(binary.AppendUvarint(pack, uint64(len(text))), text...)
}

// all yields the texts that are there.
func (s *slots) all(yield func(string) bool) {
	for _, pack := range s.packs {
		for d := (decoder{rest: pack}); d.rest != ""; {
			if text := d.bytes(int(d.uvarint())); text != "" && !yield(text) {
				return
			}
		}
	}
}
