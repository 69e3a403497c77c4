// Package memory is the part of a store that is in memory, the same for every store:
// all hosts, and the updates for followers.
package memory

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"sync"

	"dnsgate/internal/records"
)

// Index is all hosts of a store. Its methods are safe for concurrent use. A
// store that embeds it has Hosts, Find, Follow, Revision, Len, Names and Made.
type Index struct {
	mu        sync.RWMutex
	places    places
	slots     slots                   // each host, as slot makes it
	free      []uint32                // numbers of slots whose host was forgotten
	live      int                     // hosts that have records
	made      map[uint64]int          // of these, by MadeBy
	bare      map[records.Name]uint64 // those that have none, and their revision
	revision  uint64
	forgotten uint64 // the latest revision of a host that was forgotten
	recent    recent
	changed   chan struct{} // closed and replaced at each change
}

// NewIndex makes an Index without hosts, with room for a number of them, of a store at
// revision, which has forgotten hosts of revisions up to forgotten.
func NewIndex(hosts int, revision, forgotten uint64) *Index {
	return &Index{
		places:   newPlaces(hosts),
		slots:    newSlots(hosts),
		made:     make(map[uint64]int),
		bare:     make(map[records.Name]uint64),
		revision: revision, forgotten: forgotten, recent: recent{from: revision},
		changed: make(chan struct{}),
	}
}

// Load adds a host that was there before any of the followers.
func (x *Index) Load(e Entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.put(e)
}

// LoadSlots is Load of hosts that OpenSlot has read, and that are not there yet.
func (x *Index) LoadSlots(slots []Slot) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range slots {
		x.places.add(&x.slots, nameOf(s.text), x.slots.add(s.text))
		x.count(s.text, summary{}, s.summary)
	}
}

// Begin sets how far the store had come with the loaded hosts, if NewIndex could not be
// told: its revision, and the latest revision of a forgotten host.
func (x *Index) Begin(revision, forgotten uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.revision, x.forgotten, x.recent.from = revision, forgotten, revision
}

// Apply makes a change visible that brings the store to revision.
func (x *Index) Apply(revision uint64, changed []Entry) {
	slices.SortFunc(changed, func(a, b Entry) int { return cmp.Compare(a.Revision, b.Revision) })
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range changed {
		x.put(e)
		x.recent.add(e.Revision, records.Name(strings.Clone(string(e.Name)))) // it may be part of a long command
	}
	x.advance(revision)
}

// advance lets followers look again.
func (x *Index) advance(revision uint64) {
	x.revision = revision
	close(x.changed)
	x.changed = make(chan struct{})
}

func (x *Index) put(e Entry) {
	text := slot(e)
	place, old := x.places.place(&x.slots, e.Name)
	var was summary
	switch n := len(x.free); {
	case old != "":
		was, _ = summarize(valueOf(old))
		x.slots.set(place, text)
	case n > 0:
		place, x.free = x.free[n-1], x.free[:n-1]
		x.slots.set(place, text)
	default:
		place = x.slots.add(text)
	}
	if old == "" {
		x.places.add(&x.slots, e.Name, place)
	}
	x.count(text, was, summary{e.Revision, e.MadeBy, len(e.Records) > 0})
}

// count keeps the counters up to date: in a slot, is takes the place of was.
func (x *Index) count(slot string, was, is summary) {
	if was.live {
		x.live--
		if x.made[was.madeBy]--; x.made[was.madeBy] == 0 {
			delete(x.made, was.madeBy)
		}
	}
	if is.live {
		x.live++
		x.made[is.madeBy]++
		delete(x.bare, nameOf(slot))
	} else {
		x.bare[keptName(slot)] = is.revision
	}
}

// Forgettable returns up to most hosts that have had no records since a revision not
// later than reached, and the argument forgotten of NewIndex once they are dropped.
func (x *Index) Forgettable(reached uint64, most int) (names []records.Name, forgotten uint64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	forgotten = x.forgotten
	for name, revision := range x.bare {
		if revision <= reached && len(names) < most {
			names = append(names, name)
			forgotten = max(forgotten, revision)
		}
	}
	return names, forgotten
}

// Drop removes hosts that have no records.
func (x *Index) Drop(names []records.Name) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, name := range names {
		place, slot := x.places.place(&x.slots, name)
		if slot == "" {
			continue
		}
		x.places.remove(&x.slots, name)
		x.slots.set(place, "")
		x.free = append(x.free, place)
		x.forgotten = max(x.forgotten, x.bare[name])
		delete(x.bare, name)
	}
}

// Entry returns a host as the store keeps it; one that is not there has
// revision 0.
func (x *Index) Entry(name records.Name) Entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.entry(name)
}

func (x *Index) entry(name records.Name) Entry {
	_, slot := x.places.place(&x.slots, name)
	if slot == "" {
		return Entry{Host: records.Host{Name: name}}
	}
	e, _, _ := decode(name, valueOf(slot), nil)
	return e
}

// Hosts implements records.Store. It needs no context: memory is always as new
// as the last commit.
func (x *Index) Hosts(_ context.Context, names []records.Name) ([]records.Host, error) {
	hosts := make([]records.Host, len(names))
	x.mu.RLock()
	defer x.mu.RUnlock()
	for i, name := range names {
		hosts[i] = x.entry(name).Host
	}
	return hosts, nil
}

// Find implements records.Store.
func (x *Index) Find(_ context.Context, of records.Selection) ([]records.Name, error) {
	var names []records.Name
	has := of.Matcher()
	x.mu.RLock()
	for _, s := range x.slots.all {
		if has(nameOf(s)) {
			names = append(names, keptName(s))
		}
	}
	x.mu.RUnlock()
	slices.Sort(names)
	return names, nil
}

// InOrder returns all hosts in the order of their names. Changes meanwhile are not
// seen.
func (x *Index) InOrder() iter.Seq[Entry] {
	x.mu.RLock()
	slots := make([]string, 0, x.places.used)
	for _, s := range x.slots.all {
		slots = append(slots, s)
	}
	x.mu.RUnlock()
	slices.SortFunc(slots, func(a, b string) int { return strings.Compare(string(nameOf(a)), string(nameOf(b))) })
	return func(yield func(Entry) bool) {
		for _, s := range slots {
			if e, _ := open(s, nil); !yield(e) {
				return
			}
		}
	}
}

// Revision implements records.Store.
func (x *Index) Revision() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.revision
}

// Len implements records.Store.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.live
}

// Names implements records.Store.
func (x *Index) Names() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.places.used
}

// Made implements records.Store.
func (x *Index) Made(maker uint64) int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.made[maker]
}
