package etcdstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dnsgate/internal/records"
)

// Transactions that wait share a request to etcd, and its write to disk: 64 of
// them fit into one within etcd's default limits, each with 64 operations. One
// of more goes alone. One request is on its way at a time, and the next takes
// all that came meanwhile: with more of them they become smaller, a change costs
// more CPU, and there are fewer a second. A host is in a request once, for all
// in it share a revision.
const (
	maxGroup    = 64
	maxGroupOps = 64
	maxBytes    = 1 << 20
)

// patience is how long a transaction waits for a node when none answers.
const patience = 1200 * time.Millisecond

// commit is a transaction on its way to etcd and back.
type commit struct {
	ctx    context.Context // of the caller, and not longer than Options.Timeout
	txn    records.Txn
	staged *staged // nil: not looked at yet
	done   chan struct{}

	sent     bool // it may have reached etcd; Store.mu guards it
	finished bool
	revision uint64
	err      error
}

// queue is what waits and what is on its way. Store.mu guards it.
type queue struct {
	waiting []*commit
	flying  bool
	closed  bool
}

// Commit implements records.Store. One deadline holds for the queue and the
// request. A request whose end is not known is sent again, to another node
// perhaps, as long as there is time; its log entry tells if it was applied.
func (s *Store) Commit(ctx context.Context, t records.Txn) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	c := &commit{ctx: ctx, txn: t, done: make(chan struct{})}
	s.mu.Lock()
	if s.queue.closed {
		s.mu.Unlock()
		return 0, fmt.Errorf("%w; %w", errStopping, records.ErrNotApplied)
	}
	s.queue.waiting = append(s.queue.waiting, c)
	s.mu.Unlock()
	s.pump()
	s.await(c)
	if c.err == nil {
		s.awaitWatch(ctx, c.revision)
	}
	return c.revision, c.err
}

// await returns once the end of c is known, or nobody can wait for it longer.
func (s *Store) await(c *commit) {
	patient := time.NewTimer(patience)
	defer patient.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-patient.C:
			if conn, _ := s.nodes.get(); conn == nil {
				s.abandon(c, s.nodes.unreachable())
			}
			patient.Reset(50 * time.Millisecond)
		case <-c.ctx.Done():
			s.abandon(c, fmt.Errorf("etcd did not answer in time"))
		}
	}
}

// abandon ends c, whatever becomes of it. Only what was never sent has
// certainly not been applied.
func (s *Store) abandon(c *commit, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.waiting = slices.DeleteFunc(s.queue.waiting, func(w *commit) bool { return w == c })
	end := records.ErrNotApplied
	if c.sent {
		end = records.ErrUnknown
	}
	c.finish(0, fmt.Errorf("%w; %w", why, end))
}

// finish is called once for each end that c may come to; the first counts.
func (c *commit) finish(revision uint64, err error) {
	if c.finished {
		return
	}
	c.finished, c.revision, c.err = true, revision, err
	close(c.done)
}

func (s *Store) finish(c *commit, revision uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.finish(revision, err)
}

// pump sends what waits, if nothing is on its way.
func (s *Store) pump() {
	conn, _ := s.nodes.get()
	if conn == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if group := s.queue.take(); len(group) > 0 {
		s.sending.Go(func() {
			s.send(conn, group)
			s.pump()
		})
	}
}

// take returns transactions for one request, in the order that they came, as
// far as their hosts are free.
func (q *queue) take() (group []*commit) {
	if q.flying {
		return nil
	}
	var left []*commit
	size := 0
	held := make(map[records.Name]bool) // hosts of those before: each waits for its turn
	for i, c := range q.waiting {
		n := c.size()
		alone := len(c.txn.Hosts)+3 > maxGroupOps
		fits := len(group) == 0 || !alone && size+n <= maxBytes
		again := slices.ContainsFunc(c.txn.Hosts, func(h records.Host) bool { return held[h.Name] })
		for _, h := range c.txn.Hosts {
			held[h.Name] = true
		}
		if !fits || again {
			left = append(left, c)
			continue
		}
		group, size = append(group, c), size+n
		if alone || len(group) == maxGroup {
			left = append(left, q.waiting[i+1:]...)
			break
		}
	}
	q.waiting = left
	q.flying = len(group) > 0
	return group
}

// size is about how many bytes c adds to a request.
func (c *commit) size() (n int) {
	for _, h := range c.txn.Hosts {
		n += 400 + 6*len(h.Name)
		for _, r := range h.Records {
			n += 80 + 3*len(r.Text)
		}
	}
	return n
}

// release lets the next request go, and puts what of this one has come to no end
// back in front of the queue.
func (s *Store) release(group []*commit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.flying = false
	var again []*commit
	for _, c := range group {
		if !c.finished {
			again = append(again, c)
		}
	}
	s.queue.waiting = append(again, s.queue.waiting...)
}
