package tinydns

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"sort"
	"strings"
)

// Owner is the data lines of one dynamic name.
type Owner struct {
	Name  string // any key; owners are sorted by its bytes
	Lines []byte // whole lines; none to take the owner away
}

// applySize is how many owners are encoded at once, so that a change of very
// many takes little memory on its way.
const applySize = 4096

// errNoSerial: the text of dynamic lines is compiled when they change, not
// when the database is written.
var errNoSerial = errors.New("a dynamic line must give the SOA serial")

// byName returns the places of changes in the order of their names; of several
// with one name, that of the last.
func byName(changes []Owner) []int {
	order := make([]int, len(changes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(strings.Compare(changes[a].Name, changes[b].Name), cmp.Compare(a, b))
	})
	last := order[:0]
	for i, at := range order {
		if i+1 == len(order) || changes[order[i+1]].Name != changes[at].Name {
			last = append(last, at)
		}
	}
	return last
}

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

// ownerEncoder compiles owners, and has room to sort them in. It is reused, so
// that a change of very many makes little garbage.
type ownerEncoder struct {
	chunk
	encoded shelf
	merged  shelf
}

// encodeOwners compiles the changes at those places, which are in the order
// of their names, into e.encoded.
func (e *ownerEncoder) encodeOwners(changes []Owner, places []int) error {
	s := &e.encoded
	s.reset()
	for _, at := range places {
		change := changes[at]
		e.text = change.Lines
		e.encode()
		if e.err == nil && len(e.serials) > 0 {
			e.err = errNoSerial
		}
		if e.err != nil {
			return &LineError{change.Name, e.lines, e.err.Error()}
		}
		n := s.end()
		for _, entry := range e.entries {
			entry.pos += n.records
			s.entries = append(s.entries, entry)
		}
		s.names = append(s.names, change.Name...)
		s.lines = append(s.lines, change.Lines...)
		if len(s.lines) > int(n.lines) && s.lines[len(s.lines)-1] != '\n' {
			s.lines = append(s.lines, '\n')
		}
		s.records = append(s.records, e.records...)
		if len(s.records) > maxSize || len(s.lines) > maxSize {
			return errTooBig
		}
		s.owners = append(s.owners, s.end())
	}
	return nil
}

// merge puts the owners of old into e.merged, with changes i to j in their
// places; an owner without lines goes.
func (e *ownerEncoder) merge(old *shelf, i, j int) {
	merged, changes := &e.merged, &e.encoded
	merged.reset()
	at := 0
	for ; i < j; i++ {
		name := changes.name(i)
		next := old.find(at, name)
		merged.add(old, at, next)
		at = next
		if at < len(old.owners) && bytes.Equal(old.name(at), name) {
			at++
		}
		if changes.owners[i].lines > changes.before(i).lines {
			merged.add(changes, i, i+1)
		}
	}
	merged.add(old, at, len(old.owners))
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

// apply returns shelves with the encoded changes put on them.
func (e *ownerEncoder) apply(shelves []*shelf) []*shelf {
	changes := &e.encoded
	out := make([]*shelf, 0, len(shelves)+len(changes.owners)/shelfOwners+2)
	kept := 0
	for i := 0; i < len(changes.owners); {
		at, end := shelfFor(shelves, changes, i)
		out = append(out, shelves[kept:at]...)
		old := new(shelf)
		if at < len(shelves) {
			old = shelves[at]
		}
		e.merge(old, i, end)
		out = store(out, &e.merged)
		kept, i = min(at+1, len(shelves)), end
	}
	return append(out, shelves[kept:]...)
}

// shelfFor finds the shelf that change i belongs to: the last that does not
// begin after it, or else the first. It returns the first change, too, that
// belongs to a later one.
func shelfFor(shelves []*shelf, changes *shelf, i int) (at, end int) {
	name := changes.name(i)
	after := sort.Search(len(shelves), func(n int) bool { return bytes.Compare(shelves[n].name(0), name) > 0 })
	at = max(after-1, 0)
	if at+1 >= len(shelves) {
		return at, len(changes.owners)
	}
	return at, changes.find(i, shelves[at+1].name(0))
}
