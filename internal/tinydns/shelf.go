package tinydns

import (
	"bytes"
	"cmp"
	"slices"
	"sort"
)

// shelf is a run of owners, sorted by name: their records and entries, packed without
// gaps. Names and lines are read from the records. A million owners on shelves cost
// little more than their records; a change makes one shelf anew.
type shelf struct {
	records []byte
	ends    []uint32 // where in records each owner's end; they begin where those before end
	entries []entry  // pos counts from records[0]
	text    int      // bytes of the lines, once WriteLines has written them
}

// shelfOwners is how many owners a shelf holds at most.
const shelfOwners = 64

// from is where the records of owner i begin.
func (s *shelf) from(i int) uint32 {
	if i == 0 {
		return 0
	}
	return s.ends[i-1]
}

func (s *shelf) recordsOf(i int) []byte { return s.records[s.from(i):s.ends[i]] }

// entriesIn are those of the records between two places.
func (s *shelf) entriesIn(from, to uint32) []entry {
	at := func(pos uint32) int {
		i, _ := slices.BinarySearchFunc(s.entries, pos, func(e entry, pos uint32) int { return cmp.Compare(e.pos, pos) })
		return i
	}
	return s.entries[at(from):at(to)]
}

// compare compares the name of owner i with another one.
func (s *shelf) compare(i int, name string) int {
	var longest [256]byte
	return bytes.Compare(appendOwnerName(longest[:0], s.recordsOf(i)), []byte(name))
}

// find returns the first owner from i on whose name is not less than name.
func (s *shelf) find(i int, name string) int {
	return i + sort.Search(len(s.ends)-i, func(n int) bool { return s.compare(i+n, name) >= 0 })
}

// is reports whether owner i is there, and has that name.
func (s *shelf) is(i int, name string) bool { return i < len(s.ends) && s.compare(i, name) == 0 }

// add appends owners i to j of another shelf.
func (s *shelf) add(of *shelf, i, j int) {
	if i >= j {
		return
	}
	from, to, at := of.from(i), of.ends[j-1], uint32(len(s.records))
	s.records = append(s.records, of.records[from:to]...)
	for _, e := range of.entriesIn(from, to) {
		s.entries = append(s.entries, entry{e.hash, e.pos - from + at})
	}
	for _, end := range of.ends[i:j] {
		s.ends = append(s.ends, end-from+at)
	}
}

// cut returns owners i to j as a shelf with no memory to spare.
func (s *shelf) cut(i, j int) *shelf {
	from, to := s.from(i), s.ends[j-1]
	part := &shelf{
		records: make([]byte, 0, to-from),
		ends:    make([]uint32, 0, j-i),
		entries: make([]entry, 0, len(s.entriesIn(from, to))),
	}
	part.add(s, i, j)
	return part
}

func (s *shelf) reset() { s.records, s.ends, s.entries = s.records[:0], s.ends[:0], s.entries[:0] }

// store appends a copy of s to shelves, cut evenly if it is too long for one,
// or joined with the last one if both are short.
func store(shelves []*shelf, s *shelf) []*shelf {
	n := len(s.ends)
	if last := len(shelves) - 1; last >= 0 && len(shelves[last].ends)+n <= shelfOwners/2 {
		both := new(shelf)
		both.add(shelves[last], 0, len(shelves[last].ends))
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
