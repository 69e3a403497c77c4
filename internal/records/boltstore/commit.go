package boltstore

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"
)

// maxGroup is how many transactions share one fsync at most.
const maxGroup = 2048

// commit is a transaction on its way to the committer and back.
type commit struct {
	ctx      context.Context // of the caller
	txn      records.Txn
	revision uint64
	err      error
	done     chan struct{}

	instead func() (revision uint64, err error) // instead of applying txn
}

// Commit implements Store. Once the transaction is queued, Commit waits for its result;
// if ctx ends first, the error is ErrUnknown.
func (s *Store) Commit(ctx context.Context, t records.Txn) (uint64, error) {
	return s.await(ctx, &commit{ctx: ctx, txn: t, done: make(chan struct{})})
}

// await hands c to the committer and waits for the result.
func (s *Store) await(ctx context.Context, c *commit) (uint64, error) {
	select {
	case s.queue <- c:
	case <-s.closing:
		return 0, fmt.Errorf("the gateway is stopping; %w", records.ErrNotApplied)
	case <-ctx.Done():
		return 0, fmt.Errorf("the store is busy; %w", records.ErrNotApplied)
	}
	select {
	case <-c.done:
		return c.revision, c.err
	case <-s.ended:
		select {
		case <-c.done: // it was in the last group
			return c.revision, c.err
		default: // it was queued behind that
			return 0, fmt.Errorf("the gateway is stopping; %w", records.ErrNotApplied)
		}
	case <-ctx.Done():
		return 0, fmt.Errorf("the disk did not answer in time; %w", records.ErrUnknown)
	}
}

// runCommits is the committer: it takes all waiting commits, and makes them durable
// together. When the store closes it finishes the queued ones.
func (s *Store) runCommits() {
	defer close(s.ended)
	for {
		select {
		case c := <-s.queue:
			s.group(c)
		case <-s.closing:
			for {
				select {
				case c := <-s.queue:
					s.group(c)
				default:
					return
				}
			}
		}
	}
}

// group commits first and the commits queued behind it, with those of goroutines that
// can run already.
func (s *Store) group(first *commit) {
	group := []*commit{first}
	runtime.Gosched()
	for len(group) < maxGroup {
		select {
		case c := <-s.queue:
			group = append(group, c)
			continue
		default:
		}
		break
	}
	s.apply(slices.DeleteFunc(slices.Clone(group), func(c *commit) bool { return c.instead != nil }))
	for _, c := range group {
		if c.instead != nil {
			c.revision, c.err = c.instead()
		}
		close(c.done)
	}
}

func (s *Store) apply(group []*commit) {
	if err := s.usable(); err != nil {
		for _, c := range group {
			c.err = err
		}
		return
	}
	d := &draft{revision: s.Revision(), hosts: make(map[records.Name]memory.Entry)}
	for _, c := range group {
		c.err = s.stage(d, c)
	}
	if len(d.hosts) == 0 && d.mark == "" {
		return
	}
	if err := s.write(d); err != nil {
		for _, c := range group {
			if c.err == nil {
				c.err = err
			}
		}
		return
	}
	if len(d.hosts) > 0 {
		s.Apply(d.revision, slices.Collect(maps.Values(d.hosts)))
	}
}

// stage checks c against the store and the group's earlier changes, and adds c's
// changes to d. An unchanged host costs no write. It still goes through the committer,
// which proves that it is durable and that no change of it is under way.
func (s *Store) stage(d *draft, c *commit) error {
	if c.ctx.Err() != nil { // its key may be gone by now, and nobody waits for it
		return fmt.Errorf("the disk did not answer in time; %w", records.ErrNotApplied)
	}
	was := make([]memory.Entry, len(c.txn.Hosts))
	for i, h := range c.txn.Hosts {
		was[i] = s.current(d, h.Name)
		if was[i].Revision != h.Revision {
			return &records.Conflict{Current: was[i].Host}
		}
		if err := c.txn.Of(i).Check(); err != nil && !h.Equal(was[i].Host) {
			return fmt.Errorf("%w; %w", err, records.ErrNotApplied)
		}
		c.revision = max(c.revision, h.Revision)
	}
	if c.txn.Mark != "" {
		d.mark = c.txn.Mark
	}
	revision := d.revision + 1
	for i, h := range c.txn.Hosts {
		if !h.Equal(was[i].Host) {
			d.change(was[i], h, revision, c.txn.Of(i))
			d.revision, c.revision = revision, revision
		}
	}
	return nil
}

// change makes h of what it was.
func (d *draft) change(was memory.Entry, h records.Host, revision uint64, by records.Cause) {
	logged := was.Logged
	if !records.SameValues(was.Records, h.Records) || was.TTL != h.TTL {
		d.lines = append(d.lines, line{records.Change{
			Revision: revision, Time: by.Time.UTC().Truncate(time.Second), Name: h.Name,
			Old: was.Records, New: h.Records, TTL: h.TTL, Key: by.Key, Source: by.Source,
		}, logged})
		logged = revision
	}
	h.Revision, h.Had = revision, was.Had.With(h.Records)
	if by.Session != 0 {
		h.Session = by.Session
	}
	d.hosts[h.Name] = memory.Entry{Host: h, Logged: logged}
}

func (s *Store) current(d *draft, name records.Name) memory.Entry {
	if e, ok := d.hosts[name]; ok {
		return e
	}
	return s.Entry(name)
}

// usable says why the store can neither make anything durable nor say that it is.
func (s *Store) usable() error {
	s.mu.Lock()
	failed := s.failed
	s.mu.Unlock()
	if failed != nil {
		return failed
	}
	if err := s.there(); err != nil {
		return fmt.Errorf("%w; %w", err, records.ErrNotApplied)
	}
	return nil
}
