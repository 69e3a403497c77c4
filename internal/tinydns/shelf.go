package tinydns

import (
	"bytes"
	"sort"
)

// shelf is a run of owners, sorted by name: their names, lines, records and
// entries, each packed without gaps. A million owners on shelves cost little
// more than their bytes; a change rewrites one shelf.
type shelf struct {
	owners  []span
	names   []byte
	lines   []byte
	records []byte
	entries []entry // pos counts from records[0]
}

// span says where an owner's share ends; it begins where the one before ends.
type span struct{ names, lines, records, entries uint32 }

// shelfOwners is how many owners a shelf holds at most.
const shelfOwners = 64

// before is where the share of owner i begins.
func (s *shelf) before(i int) span {
	if i == 0 {
		return span{}
	}
	return s.owners[i-1]
}

// end is where the share of the next owner will begin.
func (s *shelf) end() span {
	return span{uint32(len(s.names)), uint32(len(s.lines)), uint32(len(s.records)), uint32(len(s.entries))}
}

func (s *shelf) name(i int) []byte { return s.names[s.before(i).names:s.owners[i].names] }

// find returns the first owner from i on whose name is not less than name.
func (s *shelf) find(i int, name []byte) int {
	return i + sort.Search(len(s.owners)-i, func(n int) bool { return bytes.Compare(s.name(i+n), name) >= 0 })
}

// add appends owners i to j of another shelf.
func (s *shelf) add(from *shelf, i, j int) {
	if i >= j {
		return
	}
	a, b, n := from.before(i), from.owners[j-1], s.end()
	s.names = append(s.names, from.names[a.names:b.names]...)
	s.lines = append(s.lines, from.lines[a.lines:b.lines]...)
	s.records = append(s.records, from.records[a.records:b.records]...)
	for _, e := range from.entries[a.entries:b.entries] {
		s.entries = append(s.entries, entry{e.hash, e.pos - a.records + n.records})
	}
	for _, o := range from.owners[i:j] {
		s.owners = append(s.owners, span{
			o.names - a.names + n.names, o.lines - a.lines + n.lines,
			o.records - a.records + n.records, o.entries - a.entries + n.entries,
		})
	}
}

// cut returns owners i to j as a shelf with no memory to spare.
func (s *shelf) cut(i, j int) *shelf {
	a, b := s.before(i), s.owners[j-1]
	part := &shelf{
		owners:  make([]span, 0, j-i),
		names:   make([]byte, 0, b.names-a.names),
		lines:   make([]byte, 0, b.lines-a.lines),
		records: make([]byte, 0, b.records-a.records),
		entries: make([]entry, 0, b.entries-a.entries),
	}
	part.add(s, i, j)
	return part
}

func (s *shelf) reset() {
	s.owners, s.names, s.lines = s.owners[:0], s.names[:0], s.lines[:0]
	s.records, s.entries = s.records[:0], s.entries[:0]
}

// store appends a copy of s to shelves, cut evenly if it is too long for one,
// or joined with the last one if both are short.
func store(shelves []*shelf, s *shelf) []*shelf {
	n := len(s.owners)
	if last := len(shelves) - 1; last >= 0 && len(shelves[last].owners)+n <= shelfOwners/2 {
		both := new(shelf)
		both.add(shelves[last], 0, len(shelves[last].owners))
		both.add(s, 0, n)
		shelves[last] = both
		return shelves
	}
	parts := (n + shelfOwners - 1) / shelfOwners
	for p := range parts {
		shelves = append(shelves, s.cut(n*p/parts, n*(p+1)/parts))
	}
	return shelves
}
