package records

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"time"
)

// lease says that a host may have a record to remove at end, Unix seconds. It may be
// out of date: the host itself decides.
type lease struct {
	end  int64
	name Name
}

// leases knows, of each host that has some, a time not later than its next
// lease end. A lease that is refreshed leaves the entry where it is, so there
// is about one entry a host.
type leases struct {
	queue leaseQueue
	known map[Name]int64 // the earliest end in the queue
}

// note makes sure that name is looked at when end comes; 0 is never.
func (l *leases) note(end int64, name Name) {
	if known, ok := l.known[name]; end == 0 || ok && known <= end {
		return
	}
	if l.known == nil {
		l.known = make(map[Name]int64)
	}
	l.known[name] = end
	heap.Push(&l.queue, lease{end, name})
}

// due removes and returns up to limit hosts that are to be looked at now.
func (l *leases) due(now int64, limit int) (names []Name) {
	for len(l.queue) > 0 && l.queue[0].end <= now && len(names) < limit {
		next := heap.Pop(&l.queue).(lease)
		if l.known[next.name] == next.end {
			delete(l.known, next.name)
			names = append(names, next.name)
		}
	}
	return names
}

// leaseQueue is a heap, the earliest end first.
type leaseQueue []lease

func (q leaseQueue) Len() int           { return len(q) }
func (q leaseQueue) Less(i, j int) bool { return q[i].end < q[j].end }
func (q leaseQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *leaseQueue) Push(x any)        { *q = append(*q, x.(lease)) }
func (q *leaseQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// firstExpiry is the earliest end among records, or 0.
func firstExpiry(recs []Record) (end int64) {
	for _, r := range recs {
		if r.Expires != 0 && (end == 0 || r.Expires < end) {
			end = r.Expires
		}
	}
	return end
}

// leaseKey stands in the log where a key's fingerprint does otherwise.
const leaseKey = "lease"

// EndLeases removes records of s whose time has come, until ctx ends. One process does
// so for a store.
func EndLeases(ctx context.Context, s Store) {
	var l leases
	follower := s.Follow(0)
	for ctx.Err() == nil {
		waiting, cancel := context.WithTimeout(ctx, l.wait(time.Now()))
		u, err := follower.Next(waiting)
		failed := err != nil && waiting.Err() == nil
		cancel()
		for _, h := range u.Hosts {
			l.note(firstExpiry(h.Records), h.Name)
		}
		if u.Left > 0 {
			continue
		}
		refused := failed || l.end(ctx, s, time.Now()) != nil
		rest := min(rested, l.wait(time.Now()))
		if refused {
			rest = time.Second
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
		}
	}
}

// rested is how long changes gather before they are looked at: waking up for each costs
// a tenth of a commit's processor time. A lease lasts a second at least, so none is
// missed.
const rested = 250 * time.Millisecond

// wait is how long until the next look at the clock: until a lease ends, but a few
// seconds at most, because clocks jump.
func (l *leases) wait(now time.Time) time.Duration {
	const most = 5 * time.Second
	if len(l.queue) == 0 {
		return most
	}
	first := time.Unix(l.queue[0].end, 0)
	return min(most, max(first.Sub(now), 10*time.Millisecond))
}

// end ends every lease that is over at now, in transactions of up to 100 hosts. It
// reads hosts again that changed meanwhile.
func (l *leases) end(ctx context.Context, s Store, now time.Time) error {
	for {
		names := l.due(now.Unix(), 100)
		if len(names) == 0 {
			return nil
		}
		err := l.endOf(ctx, s, names, now)
		var conflict *Conflict
		if err == nil {
			continue
		}
		for _, name := range names {
			l.note(now.Unix(), name)
		}
		if !errors.As(err, &conflict) {
			return err
		}
	}
}

// endOf ends the leases of these hosts that are over, and notes the others.
func (l *leases) endOf(ctx context.Context, s Store, names []Name, now time.Time) error {
	hosts, err := s.Hosts(ctx, names)
	if err != nil {
		return err
	}
	t := Txn{Cause: Cause{Time: now, Key: leaseKey, Source: "-"}}
	for _, h := range hosts {
		left := slices.DeleteFunc(slices.Clone(h.Records), func(r Record) bool {
			return r.Expires != 0 && r.Expires <= now.Unix()
		})
		l.note(firstExpiry(left), h.Name)
		if len(left) < len(h.Records) {
			h.Records = left
			t.Hosts = append(t.Hosts, h)
		}
	}
	if len(t.Hosts) > 0 {
		_, err = s.Commit(ctx, t)
	}
	return err
}
