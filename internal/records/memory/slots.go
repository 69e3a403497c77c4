package memory

import (
	"encoding/binary"
	"slices"
)

// slots are the texts of hosts by number. They are packed, eight numbers to a string,
// each text behind its length, because a string of its own costs a host 25 bytes more:
// its header, and what the allocator rounds up. A pack is never changed, but replaced.
type slots struct {
	packs []string
	last  []byte // the pack that is not full yet
	count int    // numbers given out
}

const packed = 8

// newSlots has room for a number of hosts.
func newSlots(hosts int) slots { return slots{packs: make([]string, 0, (hosts+packed-1)/packed)} }

// at is the text of a number: part of a pack, so it is not to be kept. "" is a host that
// was forgotten.
func (s *slots) at(number uint32) string {
	_, text, _ := cutPack(s.pack(number), int(number%packed))
	return text
}

func (s *slots) pack(number uint32) string {
	if n := int(number / packed); n < len(s.packs) {
		return s.packs[n]
	}
	return string(s.last)
}

// cutPack splits a pack around one of its texts.
func cutPack(pack string, n int) (before, text, after string) {
	at := 0
	for range n {
		_, to := bounds(pack[at:])
		at += to
	}
	from, to := bounds(pack[at:])
	return pack[:at], pack[at+from : at+to], pack[at+to:]
}

// bounds is where the first text of a pack begins and ends.
func bounds(pack string) (from, to int) {
	if n := int(pack[0]); n < 0x80 { // nearly always, and a pack is walked through for each look at it
		return 1, 1 + n
	}
	d := decoder{rest: pack}
	n := int(d.uvarint())
	from = len(pack) - len(d.rest)
	return from, from + n
}

// set replaces the text of a number.
func (s *slots) set(number uint32, text string) {
	before, _, after := cutPack(s.pack(number), int(number%packed))
	var room [2048]byte // nearly always
	next := appendText(append(room[:0], before...), text)
	next = append(next, after...)
	if n := int(number / packed); n < len(s.packs) {
		s.packs[n] = string(next)
	} else {
		s.last = append(s.last[:0], next...)
	}
}

// add gives out the next number.
func (s *slots) add(text string) (number uint32) {
	s.last = appendText(s.last, text)
	if s.count++; s.count%packed == 0 {
		s.packs = append(s.packs, string(s.last))
		s.last = s.last[:0]
	}
	return uint32(s.count - 1)
}

func appendText(pack []byte, text string) []byte {
	return append(binary.AppendUvarint(pack, uint64(len(text))), text...)
}

// all yields the numbers and texts that are there.
func (s *slots) all(yield func(uint32, string) bool) {
	number := uint32(0)
	for _, pack := range append(slices.Clip(s.packs), string(s.last)) {
		for pack != "" {
			from, to := bounds(pack)
			if to > from && !yield(number, pack[from:to]) {
				return
			}
			number++
			pack = pack[to:]
		}
	}
}
