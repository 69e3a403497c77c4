package tinydns

import (
	"bytes"
	"cmp"
	"slices"
	"sort"
	"strings"
)

// applySize is how many owners are encoded at once, so that a very large change takes
// little memory on its way.
const applySize = 4096

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

// ownerEncoder compiles owners, and has room to sort them in. It is reused, so
// that a change of very many makes little garbage.
type ownerEncoder struct {
	encoder
	names   []string // of the changes
	encoded shelf    // their records
	merged  shelf
	moved   bool // a change left other records in other places than they had
}

// encodeOwners compiles the changes at those places, which are in the order
// of their names, into e.encoded.
func (e *ownerEncoder) encodeOwners(changes []Owner, places []int) error {
	s := &e.encoded
	s.reset()
	e.names = e.names[:0]
	for _, at := range places {
		e.reset()
		if err := e.ownerRecords(&changes[at]); err != nil {
			return err
		}
		if int64(len(s.records))+int64(len(e.records)) > maxSize {
			return errTooBig
		}
		for _, entry := range e.entries {
			entry.pos += uint32(len(s.records))
			s.entries = append(s.entries, entry)
		}
		s.records = append(s.records, e.records...)
		s.ends = append(s.ends, uint32(len(s.records)))
		e.names = append(e.names, changes[at].Name)
	}
	return nil
}

// merge puts the owners of old into e.merged, with changes i to j in their places; an
// owner without records goes. It reports whether that differs from old.
func (e *ownerEncoder) merge(old *shelf, i, j int) (differs bool) {
	merged, changes := &e.merged, &e.encoded
	merged.reset()
	at := 0
	for ; i < j && at < len(old.ends); i++ {
		name := e.names[i]
		next := old.find(at, name)
		merged.add(old, at, next)
		at = next
		known := old.is(at, name)
		wanted := len(changes.recordsOf(i)) > 0
		switch {
		case !known && !wanted:
		case known && wanted && bytes.Equal(old.recordsOf(at), changes.recordsOf(i)):
		case known && wanted && sameRecords(old.recordsOf(at), changes.recordsOf(i)):
			differs = true
		default:
			differs, e.moved = true, true
		}
		if known {
			at++
		}
		if wanted {
			merged.add(changes, i, i+1)
		}
	}
	merged.add(old, at, len(old.ends))
	if e.appendNew(i, j) {
		differs, e.moved = true, true
	}
	return differs
}

// appendNew adds those of the changes i to j that have records to e.merged, and reports
// whether there are any. All owners of a first picture are such.
func (e *ownerEncoder) appendNew(i, j int) (some bool) {
	for ; i < j; i++ {
		first := i
		for i < j && len(e.encoded.recordsOf(i)) > 0 {
			i++
		}
		if i > first {
			e.merged.add(&e.encoded, first, i)
			some = true
		}
	}
	return some
}

// apply returns shelves with the encoded changes put on them. Those that stay as they
// were are the same ones.
func (e *ownerEncoder) apply(shelves []*shelf) []*shelf {
	out := make([]*shelf, 0, len(shelves)+len(e.names)/shelfOwners+2)
	kept := 0
	for i := 0; i < len(e.names); {
		at, end := e.shelfFor(shelves, i)
		out = append(out, shelves[kept:at]...)
		old := new(shelf)
		if at < len(shelves) {
			old = shelves[at]
		}
		switch {
		case e.merge(old, i, end):
			out = store(out, &e.merged)
		case at < len(shelves):
			out = append(out, old)
		}
		kept, i = min(at+1, len(shelves)), end
	}
	return append(out, shelves[kept:]...)
}

// shelfFor finds the shelf that change i belongs to: the last that does not
// begin after it, or else the first. It returns the first change, too, that
// belongs to a later one.
func (e *ownerEncoder) shelfFor(shelves []*shelf, i int) (at, end int) {
	at = shelfOf(shelves, e.names[i])
	if at+1 >= len(shelves) {
		return at, len(e.names)
	}
	later := sort.Search(len(e.names)-i, func(n int) bool { return shelves[at+1].compare(0, e.names[i+n]) <= 0 })
	return at, i + later
}

// shelfOf is the place of the shelf that name belongs on.
func shelfOf(shelves []*shelf, name string) int {
	after := sort.Search(len(shelves), func(n int) bool { return shelves[n].compare(0, name) > 0 })
	return max(after-1, 0)
}
