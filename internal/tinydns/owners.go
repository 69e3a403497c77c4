package tinydns

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"sort"
)

// Owner is the data lines of one dynamic name.
type Owner struct {
	Name  string // any key; owners are sorted by its bytes
	Lines []byte // whole lines; none to take the owner away
}

var errNoSerial = errors.New("a dynamic line must give the SOA serial")

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

// shelfOwners and shelfBytes are how many owners, and bytes of their lines,
// a full shelf holds.
const (
	shelfOwners = 128
	shelfBytes  = 64 << 10
)

func (s *shelf) before(i int) span {
	if i == 0 {
		return span{}
	}
	return s.owners[i-1]
}

func (s *shelf) name(i int) []byte { return s.names[s.before(i).names:s.owners[i].names] }

// add appends owners i to j of another shelf.
func (s *shelf) add(from *shelf, i, j int) {
	if i >= j {
		return
	}
	a, b := from.before(i), from.owners[j-1]
	n := span{uint32(len(s.names)), uint32(len(s.lines)), uint32(len(s.records)), uint32(len(s.entries))}
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

// fit gives back the memory that a growing shelf has too much.
func (s *shelf) fit() *shelf {
	return &shelf{
		slices.Clip(slices.Clone(s.owners)), slices.Clip(slices.Clone(s.names)), slices.Clip(slices.Clone(s.lines)),
		slices.Clip(slices.Clone(s.records)), slices.Clip(slices.Clone(s.entries)),
	}
}

func (s *shelf) reset() {
	s.owners, s.names, s.lines = s.owners[:0], s.names[:0], s.lines[:0]
	s.records, s.entries = s.records[:0], s.entries[:0]
}

func (s *shelf) full() bool { return len(s.owners) >= shelfOwners || len(s.lines) >= shelfBytes }

// encodeOwners compiles changes, sorted by name, to one long shelf.
func encodeOwners(changes []Owner, dialect Dialect) (*shelf, error) {
	s := new(shelf)
	var c chunk
	c.dialect = dialect
	for _, change := range changes {
		text := change.Lines
		if n := len(text); n > 0 && text[n-1] != '\n' {
			text = append(slices.Clip(text), '\n')
		}
		c.text = text
		c.encode()
		if c.err == nil && len(c.serials) > 0 {
			c.err = errNoSerial
		}
		if c.err != nil {
			return nil, &LineError{change.Name, c.lines, c.err.Error()}
		}
		if len(s.records)+len(c.records) > maxSize || len(s.lines)+len(text) > maxSize {
			return nil, errTooBig
		}
		base := uint32(len(s.records))
		for _, e := range c.entries {
			s.entries = append(s.entries, entry{e.hash, base + e.pos})
		}
		s.names = append(s.names, change.Name...)
		s.lines = append(s.lines, text...)
		s.records = append(s.records, c.records...)
		s.owners = append(s.owners, span{
			uint32(len(s.names)), uint32(len(s.lines)), uint32(len(s.records)), uint32(len(s.entries)),
		})
	}
	return s, nil
}

// merge returns old's owners with those in changes put in their place; one
// with neither lines nor records goes.
func merge(old, changes *shelf, first, last int) []*shelf {
	var out []*shelf
	var s shelf
	add := func(from *shelf, i, j int) {
		for ; i < j; i++ {
			if s.full() {
				out = append(out, s.fit())
				s.reset()
			}
			s.add(from, i, i+1)
		}
	}
	at := 0
	for c := first; c < last; c++ {
		name := changes.name(c)
		next := at + sort.Search(len(old.owners)-at, func(i int) bool {
			return bytes.Compare(old.name(at+i), name) >= 0
		})
		add(old, at, next)
		at = next
		if at < len(old.owners) && bytes.Equal(old.name(at), name) {
			at++
		}
		if changes.owners[c].lines > changes.before(c).lines {
			add(changes, c, c+1)
		}
	}
	add(old, at, len(old.owners))
	if len(s.owners) > 0 {
		out = append(out, s.fit())
	}
	return out
}

// apply puts changes, sorted by name, on their shelves.
func apply(shelves []*shelf, changes *shelf) []*shelf {
	if len(shelves) == 0 {
		return merge(new(shelf), changes, 0, len(changes.owners))
	}
	var out []*shelf
	kept := 0
	for c := 0; c < len(changes.owners); {
		// The last shelf that does not begin after the change is its own.
		at := sort.Search(len(shelves), func(i int) bool {
			return bytes.Compare(shelves[i].name(0), changes.name(c)) > 0
		})
		at = max(at-1, 0)
		end := len(changes.owners)
		if at+1 < len(shelves) {
			next := shelves[at+1].name(0)
			end = c + sort.Search(end-c, func(i int) bool {
				return bytes.Compare(changes.name(c+i), next) >= 0
			})
		}
		out = append(out, shelves[kept:at]...)
		out = append(out, merge(shelves[at], changes, c, end)...)
		kept, c = at+1, end
	}
	return append(out, shelves[kept:]...)
}

// sorted returns changes by name; of several with one name, the last.
func sorted(changes []Owner) []Owner {
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(a, b Owner) int { return cmp.Compare(a.Name, b.Name) })
	last := changes[:0]
	for i, c := range changes {
		if i+1 == len(changes) || changes[i+1].Name != c.Name {
			last = append(last, c)
		}
	}
	return last
}
