package boltstore

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"time"

	"dnsgate/internal/records"
)

// lease says that a host may have a record to take away at end, Unix seconds.
// It may be out of date: the host itself tells.
type lease struct {
	end  int64
	name records.Name
}

// leases knows, of each host that has some, a time not later than its next
// lease end. A lease that is refreshed leaves the entry where it is, so there
// is about one entry a host.
type leases struct {
	queue leaseQueue
	known map[records.Name]int64 // the earliest end in the queue
}

// note makes sure that name is looked at when end comes; 0 is never.
func (l *leases) note(end int64, name records.Name) {
	if known, ok := l.known[name]; end == 0 || ok && known <= end {
		return
	}
	if l.known == nil {
		l.known = make(map[records.Name]int64)
	}
	l.known[name] = end
	heap.Push(&l.queue, lease{end, name})
}

// first is the earliest end, or 0.
func (l *leases) first() int64 {
	if len(l.queue) == 0 {
		return 0
	}
	return l.queue[0].end
}

// due removes and returns a host that is to be looked at now.
func (l *leases) due(now int64) (records.Name, bool) {
	for len(l.queue) > 0 && l.queue[0].end <= now {
		next := heap.Pop(&l.queue).(lease)
		if l.known[next.name] == next.end {
			delete(l.known, next.name)
			return next.name, true
		}
	}
	return "", false
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
func firstExpiry(recs []records.Record) (end int64) {
	for _, r := range recs {
		if r.Expires != 0 && (end == 0 || r.Expires < end) {
			end = r.Expires
		}
	}
	return end
}

// leaseKey stands in the log where a key's fingerprint does otherwise.
const leaseKey = "lease"

// runLeases takes records away when their time has come. It looks at the
// clock at least every few seconds, because clocks jump.
func (s *Store) runLeases() {
	const most = 5 * time.Second
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.leaseDue:
		case <-s.closing:
			return
		}
		wait := most
		if !s.endLeases(time.Now()) {
			wait = time.Second // the store refused; try again
		} else if first := s.nextLease(); first != 0 {
			wait = min(wait, max(time.Until(time.Unix(first, 0)), 10*time.Millisecond))
		}
		timer.Reset(wait)
	}
}

func (s *Store) nextLease() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.leases.first()
}

// endLeases ends every lease that is over at now, in transactions of up to
// 100 hosts, and reports whether the store took them.
func (s *Store) endLeases(now time.Time) bool {
	for {
		hosts := s.overdue(now.Unix(), 100)
		if len(hosts) == 0 {
			return true
		}
		_, err := s.Commit(context.Background(), records.Txn{
			Time: now, Key: leaseKey, Source: "-", Hosts: hosts,
		})
		var conflict *records.Conflict
		if err != nil && !errors.As(err, &conflict) {
			return false
		}
	}
}

// overdue returns hosts without the records whose lease is over. Those hosts
// stay noted, so that a failed commit finds them again.
func (s *Store) overdue(now int64, limit int) []records.Host {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hosts []records.Host
	for len(hosts) < limit {
		name, ok := s.leases.due(now)
		if !ok {
			break
		}
		h, _ := s.hostLocked(name)
		if end := firstExpiry(h.Records); end == 0 || end > now {
			s.leases.note(end, name)
			continue
		}
		h.Records = slices.DeleteFunc(h.Records, func(r records.Record) bool {
			return r.Expires != 0 && r.Expires <= now
		})
		hosts = append(hosts, h)
	}
	for _, h := range hosts {
		s.leases.note(now, h.Name)
	}
	return hosts
}
