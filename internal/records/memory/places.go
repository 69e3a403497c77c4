package memory

import (
	"hash/maphash"

	"dnsgate/internal/records"
)

// places finds the slot of a name. It is a hash table with linear probing that holds
// numbers alone, because the name is in the slot: 4 to 11 bytes a host, where a map of
// strings took 54 (measured with a million hosts).
type places struct {
	seed  maphash.Seed
	table []uint32 // the number of a slot plus 1; 0: free. A power of two long
	used  int
}

const leastPlaces = 16

// newPlaces returns a table with room for a number of names.
func newPlaces(names int) places {
	size := leastPlaces
	for size*3/4 <= names {
		size *= 2
	}
	return places{seed: maphash.MakeSeed(), table: make([]uint32, size)}
}

// home is where a name belongs, if that is free.
func (p *places) home(name records.Name) int {
	return int(maphash.String(p.seed, string(name)) & uint64(len(p.table)-1))
}

func (p *places) next(at int) int { return (at + 1) & (len(p.table) - 1) }

// find returns where in the table the name is, and its slot; or where it belongs, and "".
func (p *places) find(slots *slots, name records.Name) (at int, slot string) {
	for at = p.home(name); p.table[at] != 0; at = p.next(at) {
		if slot := slots.at(p.table[at] - 1); nameOf(slot) == name {
			return at, slot
		}
	}
	return at, ""
}

// place returns the number of a name and its slot, or "".
func (p *places) place(slots *slots, name records.Name) (place uint32, slot string) {
	at, slot := p.find(slots, name)
	if slot == "" {
		return 0, ""
	}
	return p.table[at] - 1, slot
}

// add notes the slot of a name that is not there yet. The slot has it already.
func (p *places) add(slots *slots, name records.Name, place uint32) {
	if p.used++; p.used > len(p.table)*3/4 {
		p.table = make([]uint32, 2*len(p.table))
		for number, slot := range slots.all {
			if number != place {
				p.insert(nameOf(slot), number+1)
			}
		}
	}
	p.insert(name, place+1)
}

func (p *places) insert(name records.Name, number uint32) {
	at := p.home(name)
	for p.table[at] != 0 {
		at = p.next(at)
	}
	p.table[at] = number
}

// remove forgets a name, whose slot still has it, and closes the gap: a later name
// may be found only past it.
func (p *places) remove(slots *slots, name records.Name) {
	gap, slot := p.find(slots, name)
	if slot == "" {
		return
	}
	p.used--
	for at := p.next(gap); p.table[at] != 0; at = p.next(at) {
		home := p.home(nameOf(slots.at(p.table[at] - 1)))
		if distance(home, at, len(p.table)) >= distance(gap, at, len(p.table)) {
			p.table[gap], gap = p.table[at], at
		}
	}
	p.table[gap] = 0
}

// distance is how far to is behind from, around the table.
func distance(from, to, size int) int { return (to - from) & (size - 1) }
