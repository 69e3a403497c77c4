package memory

import (
	"cmp"
	"context"
	"slices"

	"dnsgate/internal/records"
)

// maxRecent is how many changes of hosts are remembered in their order. A
// follower that is further behind looks at all hosts for those that changed.
const maxRecent = 1 << 16

// piece is how many hosts an Update has, but for the rest of a transaction, and
// scanned how many are looked at for them while no change can be applied.
const (
	piece   = 1024
	scanned = 16 * piece
)

// recent remembers the last changed hosts, in the order of revisions. It is
// complete after revision from.
type recent struct {
	entries []changed
	from    uint64
}

type changed struct {
	revision uint64
	name     records.Name
}

func (r *recent) add(revision uint64, name records.Name) {
	if len(r.entries) == 2*maxRecent {
		r.from = r.entries[maxRecent-1].revision
		r.entries = slices.Clone(r.entries[maxRecent:])
	}
	r.entries = append(r.entries, changed{revision, name})
}

// after returns the entries of revisions later than reached.
func (r *recent) after(reached uint64) []changed {
	i, _ := slices.BinarySearchFunc(r.entries, reached+1, func(c changed, rev uint64) int {
		return cmp.Compare(c.revision, rev)
	})
	return r.entries[i:]
}

// Follow implements records.Store.
func (x *Index) Follow(after uint64) records.Follower {
	return &follower{index: x, reached: after, scanning: after == 0, whole: after == 0}
}

// follower holds a place among the slots and a revision, and no host: what it
// has not read yet costs nothing.
type follower struct {
	index    *Index
	reached  uint64 // all that changed up to it was told
	scanning bool   // the slots are looked at for hosts that changed after reached,
	whole    bool   // that is, for a picture, and nothing was told of it yet
	place    int    // the next slot
	until    uint64 // the store's revision when place was 0
}

// Next implements records.Follower.
func (f *follower) Next(ctx context.Context) (records.Update, error) {
	for {
		u, nothing := f.take()
		if nothing == nil {
			return u, nil
		}
		select {
		case <-nothing:
		case <-ctx.Done():
			return records.Update{}, ctx.Err()
		}
	}
}

// take returns the news, or a channel that closes once there is some.
func (f *follower) take() (u records.Update, nothing <-chan struct{}) {
	x := f.index
	x.mu.RLock()
	defer x.mu.RUnlock()
	if !f.scanning && f.reached == x.revision {
		return u, x.changed
	}
	if f.scanning || f.reached < x.recent.from || f.reached > x.revision {
		if f.reached > 0 && (f.reached < x.forgotten || f.reached > x.revision) {
			f.whole, f.reached, f.place = true, 0, 0 // some that changed are not there to be looked at
		}
		f.scanning = true
		f.scan(&u)
	} else {
		f.changes(&u)
	}
	if !f.scanning && f.reached == x.revision {
		u.Left, u.Revision = 0, f.reached
	}
	return u, nil
}

// scan takes the next piece of the slots. Hosts that change meanwhile come
// again behind it, for they changed after until.
func (f *follower) scan(u *records.Update) {
	x := f.index
	if f.place == 0 {
		f.until = x.revision
	}
	u.Whole, f.whole = f.whole, false
	u.Revision = f.until
	end := min(f.place+scanned, x.slots.count)
	arena := make([]records.Record, 0, min(piece+piece/8, x.slots.count))
	for ; f.place < end && len(u.Hosts) < piece; f.place++ {
		if s := x.slots.at(uint32(f.place)); s != "" && revisionOf(s) > f.reached {
			var e Entry
			e, arena = open(s, arena)
			u.Hosts = append(u.Hosts, e.Host)
		}
	}
	u.Left = x.slots.count - f.place + 1
	if f.place == x.slots.count {
		f.scanning, f.place, f.reached = false, 0, f.until
	}
}

// changes takes the next piece of what changed last, transactions whole.
func (f *follower) changes(u *records.Update) {
	x := f.index
	u.Revision = f.reached
	left := x.recent.after(f.reached)
	seen := make(map[records.Name]bool)
	for len(left) > 0 && (len(u.Hosts) < piece || left[0].revision == f.reached) {
		c := left[0]
		left, f.reached = left[1:], c.revision
		if seen[c.name] {
			continue
		}
		seen[c.name] = true
		h := x.entry(c.name).Host
		if h.Revision == 0 { // it was forgotten meanwhile
			h.Revision, h.Had = c.revision, records.HadUnknown
		}
		u.Hosts = append(u.Hosts, h)
	}
	u.Left = len(left)
	if len(left) == 0 {
		f.reached = x.revision
	}
}
