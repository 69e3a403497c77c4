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

// applySize is how many owners are encoded at once, so that a very large change takes
// little memory on its way.
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

// ownerEncoder compiles owners, and has room to sort them in. It is reused, so
// that a change of very many makes little garbage.
type ownerEncoder struct {
	chunk
	encoded shelf
	merged  shelf
	moved   bool // a change left other records in other places than they had
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
		if int64(len(s.records)) > maxSize || int64(len(s.lines)) > maxSize {
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
		known := at < len(old.owners) && bytes.Equal(old.name(at), name)
		wanted := changes.owners[i].lines > changes.before(i).lines
		if known != wanted || known && !samePlaces(old, at, changes, i) {
			e.moved = true
		}
		if known {
			at++
		}
		if wanted {
			merged.add(changes, i, i+1)
		}
	}
	merged.add(old, at, len(old.owners))
}

// samePlaces reports whether owner i of a and owner j of b have records of the
// same keys and lengths.
func samePlaces(a *shelf, i int, b *shelf, j int) bool {
	from, to := a.before(i), a.owners[i]
	other, end := b.before(j), b.owners[j]
	if to.records-from.records != end.records-other.records || to.entries-from.entries != end.entries-other.entries {
		return false
	}
	for n := range to.entries - from.entries {
		x, y := a.entries[from.entries+n], b.entries[other.entries+n]
		if x.hash != y.hash || x.pos-from.records != y.pos-other.records {
			return false
		}
	}
	return true
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
	at = shelfOf(shelves, changes.name(i))
	if at+1 >= len(shelves) {
		return at, len(changes.owners)
	}
	return at, changes.find(i, shelves[at+1].name(0))
}

// shelfOf is the place of the shelf that name belongs on.
func shelfOf(shelves []*shelf, name []byte) int {
	after := sort.Search(len(shelves), func(n int) bool { return bytes.Compare(shelves[n].name(0), name) > 0 })
	return max(after-1, 0)
}
