package records

import (
	"cmp"
	"context"
	"slices"
)

// maxRecent is how many changed hosts a follower may be behind before it has
// to take the whole picture again.
const maxRecent = 1 << 16

// recent remembers the last changed hosts, in the order of revisions. It is
// complete after revision from.
type recent struct {
	entries []changed
	from    uint64
}

type changed struct {
	revision uint64
	name     Name
}

func (r *recent) add(revision uint64, name Name) {
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

// Follow implements Store.
func (s *Bolt) Follow() Follower { return &follower{store: s} }

type follower struct {
	store   *Bolt
	started bool
	reached uint64
}

// Next implements Follower.
func (f *follower) Next(ctx context.Context) (Update, error) {
	for {
		u, changed := f.take()
		if changed == nil {
			f.started, f.reached = true, u.Revision
			return u, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Update{}, ctx.Err()
		}
	}
}

// take returns what is new, or a channel that closes once something is.
func (f *follower) take() (Update, <-chan struct{}) {
	s := f.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	if f.started && f.reached == s.revision {
		return Update{}, s.changed
	}
	if !f.started || f.reached < s.recent.from {
		return s.pictureLocked(), nil
	}
	u := Update{Revision: s.revision}
	seen := make(map[Name]bool)
	for _, c := range s.recent.after(f.reached) {
		if !seen[c.name] {
			seen[c.name] = true
			h, _ := s.hostLocked(c.name)
			u.Hosts = append(u.Hosts, h)
		}
	}
	return u, nil
}

// pictureLocked decodes all hosts, their records in one allocation.
func (s *Bolt) pictureLocked() Update {
	u := Update{Revision: s.revision, Whole: true, Hosts: make([]Host, 0, len(s.hosts))}
	arena := make([]Record, 0, len(s.hosts)+len(s.hosts)/8)
	for name, value := range s.hosts {
		var h Host
		h, _, arena, _ = decodeHost(name, value, arena)
		u.Hosts = append(u.Hosts, h)
	}
	return u
}
