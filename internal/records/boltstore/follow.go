package boltstore

import (
	"cmp"
	"context"
	"slices"

	"dnsgate/internal/records"
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

// Follow implements Store.
func (s *Store) Follow() records.Follower { return &follower{store: s} }

type follower struct {
	store   *Store
	started bool
	reached uint64
}

// Next implements Follower.
func (f *follower) Next(ctx context.Context) (records.Update, error) {
	for {
		u, changed := f.take()
		if changed == nil {
			f.started, f.reached = true, u.Revision
			return u, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return records.Update{}, ctx.Err()
		}
	}
}

// take returns what is new, or a channel that closes once something is.
func (f *follower) take() (records.Update, <-chan struct{}) {
	s := f.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	if f.started && f.reached == s.revision {
		return records.Update{}, s.changed
	}
	if !f.started || f.reached < s.recent.from {
		return s.pictureLocked(), nil
	}
	u := records.Update{Revision: s.revision}
	seen := make(map[records.Name]bool)
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
func (s *Store) pictureLocked() records.Update {
	u := records.Update{Revision: s.revision, Whole: true, Hosts: make([]records.Host, 0, len(s.hosts))}
	arena := make([]records.Record, 0, len(s.hosts)+len(s.hosts)/8)
	for name, value := range s.hosts {
		var h records.Host
		h, _, arena, _ = decodeHost(name, value, arena)
		u.Hosts = append(u.Hosts, h)
	}
	return u
}
