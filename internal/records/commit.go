package records

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"runtime"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// maxLog is how many changes the log keeps, and maxLogBytes how much room they
// take: a line with many TXT values has up to 17 KiB. Older ones leave it.
const (
	maxLog      = 1 << 18
	maxLogBytes = 256 << 20
)

// logSize is what the log holds.
type logSize struct{ lines, bytes uint64 }

func (l *logSize) add(key, sealed []byte) {
	l.lines++
	l.bytes += uint64(len(key) + len(sealed))
}

func (l *logSize) remove(key, sealed []byte) {
	l.lines--
	l.bytes -= uint64(len(key) + len(sealed))
}

// maxGroup is how many transactions share one fsync at most.
const maxGroup = 2048

// commit is a transaction on its way to the committer and back.
type commit struct {
	txn      Txn
	revision uint64
	err      error
	done     chan struct{}
}

// Commit implements Store. Once the transaction is queued its fate is waited
// for; if ctx ends before it is known, the error is ErrUnknown.
func (s *Bolt) Commit(ctx context.Context, t Txn) (uint64, error) {
	c := &commit{txn: t, done: make(chan struct{})}
	select {
	case s.queue <- c:
	case <-s.closing:
		return 0, fmt.Errorf("the gateway is stopping; %w", ErrNotApplied)
	case <-ctx.Done():
		return 0, fmt.Errorf("the store is busy; %w", ErrNotApplied)
	}
	select {
	case <-c.done:
		return c.revision, c.err
	case <-s.ended:
		select {
		case <-c.done: // it was in the last group
			return c.revision, c.err
		default: // it was queued behind that
			return 0, fmt.Errorf("the gateway is stopping; %w", ErrNotApplied)
		}
	case <-ctx.Done():
		return 0, fmt.Errorf("the disk did not answer in time; %w", ErrUnknown)
	}
}

// runCommits is the committer: it takes all that wait, and makes them durable
// together. When the store closes it ends what was queued.
func (s *Bolt) runCommits() {
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

// group commits first, and whatever is queued behind it, or about to be: by
// goroutines that can run already.
func (s *Bolt) group(first *commit) {
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
	s.apply(group)
	for _, c := range group {
		close(c.done)
	}
}

// staged is a host as a group will leave it.
type staged struct {
	host   Host
	logged uint64
	value  string // encoded host
}

// draft collects what a group changes, before any of it counts.
type draft struct {
	revision uint64
	hosts    map[Name]staged
	lines    []line
}

// line is a line of the log, and the revision of the host's line before it.
type line struct {
	Change
	prev uint64
}

func (s *Bolt) apply(group []*commit) {
	if err := s.usable(); err != nil {
		for _, c := range group {
			c.err = err
		}
		return
	}
	d := &draft{revision: s.Revision(), hosts: make(map[Name]staged)}
	for _, c := range group {
		c.err = s.stage(d, c)
	}
	if len(d.hosts) == 0 {
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
	s.publish(d)
}

// stage checks c against what is there and what the group did before it, and
// adds its changes to d. What is to be as it is already costs no write; that
// it goes through the committer still tells that it is durable, and that no
// change is on its way.
func (s *Bolt) stage(d *draft, c *commit) error {
	was := make([]staged, len(c.txn.Hosts))
	for i, h := range c.txn.Hosts {
		was[i] = s.current(d, h.Name)
		if was[i].host.Revision != h.Revision {
			return &Conflict{was[i].host}
		}
		c.revision = max(c.revision, h.Revision)
	}
	revision := d.revision + 1
	for i, h := range c.txn.Hosts {
		if h.Equal(was[i].host) {
			continue
		}
		logged := was[i].logged
		if !slices.EqualFunc(was[i].host.Records, h.Records, sameValue) || was[i].host.TTL != h.TTL {
			d.lines = append(d.lines, line{Change{
				Revision: revision, Time: c.txn.Time.UTC().Truncate(time.Second), Name: h.Name,
				Old: was[i].host.Records, New: h.Records, TTL: h.TTL,
				Key: c.txn.Key, Source: c.txn.Source,
			}, logged})
			logged = revision
		}
		h.Revision = revision
		if c.txn.Session != 0 {
			h.Session = c.txn.Session
		}
		d.hosts[h.Name] = staged{h, logged, string(encodeHost(nil, h, logged))}
		d.revision, c.revision = revision, revision
	}
	return nil
}

// sameValue compares without the lease: that it was refreshed is no history.
func sameValue(a, b Record) bool { return a.Addr == b.Addr && a.Text == b.Text }

func (s *Bolt) current(d *draft, name Name) staged {
	if st, ok := d.hosts[name]; ok {
		return st
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	h, logged := s.hostLocked(name)
	return staged{host: h, logged: logged}
}

// write makes d durable. What bbolt's Update does before its own fsync leaves
// the file as it was; after a failed fsync nobody can say what the disk
// holds, so the store takes no further changes.
func (s *Bolt) write(d *draft) (err error) {
	defer func() {
		if err != nil {
			s.log.Error("storing failed", "error", err)
		}
	}()
	defer trapDamage(&err)()
	logged := s.logged
	err = s.db.Update(func(tx *bbolt.Tx) error {
		logged = s.logged
		return s.put(tx, d, &logged)
	})
	if err == nil {
		s.logged = logged
		return nil
	}
	var atPath *fs.PathError
	if errors.As(err, &atPath) || errors.Is(err, errBeforeWrite) {
		return fmt.Errorf("%w; %w", err, ErrNotApplied)
	}
	err = fmt.Errorf("%w (%w); the store takes no changes until dnsgate is restarted", ErrUnknown, err)
	s.mu.Lock()
	s.failed = err
	s.mu.Unlock()
	return err
}

// usable says why the store can make nothing durable, nor say that it is.
func (s *Bolt) usable() error {
	s.mu.RLock()
	failed := s.failed
	s.mu.RUnlock()
	if failed != nil {
		return failed
	}
	if err := s.there(); err != nil {
		return fmt.Errorf("%w; %w", err, ErrNotApplied)
	}
	return nil
}

var errBeforeWrite = errors.New("changing the file's pages failed")

func (s *Bolt) put(tx *bbolt.Tx, d *draft, logged *logSize) error {
	hosts := tx.Bucket(bucketHosts)
	for _, name := range slices.Sorted(maps.Keys(d.hosts)) {
		key := []byte(name)
		if err := hosts.Put(key, seal(nil, key, []byte(d.hosts[name].value))); err != nil {
			return fmt.Errorf("%w: %w", errBeforeWrite, err)
		}
	}
	lines := tx.Bucket(bucketLog)
	for _, l := range d.lines {
		if err := putLine(lines, l, logged); err != nil {
			return fmt.Errorf("%w: %w", errBeforeWrite, err)
		}
	}
	if err := trimLog(lines, logged); err != nil {
		return fmt.Errorf("%w: %w", errBeforeWrite, err)
	}
	st := state{revision: d.revision, hosts: s.countHosts(d), logged: logged.lines}
	return putState(tx, st)
}

func (s *Bolt) countHosts(d *draft) uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := uint64(len(s.hosts))
	for name := range d.hosts {
		if _, known := s.hosts[name]; !known {
			n++
		}
	}
	return n
}

// A line of the log is kept under its revision and name. In front of its text
// stands the revision of the host's line before it, so that a host's history
// is found without reading everybody's.
func lineKey(revision uint64, name Name) []byte {
	return append(binary.BigEndian.AppendUint64(nil, revision), name...)
}

func putLine(lines *bbolt.Bucket, l line, size *logSize) error {
	key := lineKey(l.Revision, l.Name)
	value := l.AppendText(binary.BigEndian.AppendUint64(nil, l.prev))
	lines.FillPercent = 0.95 // keys only grow
	sealed := seal(nil, key, value)
	size.add(key, sealed)
	return lines.Put(key, sealed)
}

func trimLog(lines *bbolt.Bucket, size *logSize) error {
	cursor := lines.Cursor()
	for size.lines > maxLog || size.bytes > maxLogBytes {
		k, v := cursor.First()
		if k == nil {
			return nil
		}
		size.remove(k, v)
		if err := cursor.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// publish makes a durable draft visible.
func (s *Bolt) publish(d *draft) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.leases.first()
	changed := slices.SortedFunc(maps.Values(d.hosts), func(a, b staged) int {
		return cmp.Compare(a.host.Revision, b.host.Revision)
	})
	for _, st := range changed {
		s.remember(st.host, st.value)
		s.recent.add(st.host.Revision, st.host.Name)
	}
	s.revision = d.revision
	close(s.changed)
	s.changed = make(chan struct{})
	if now := s.leases.first(); now != first {
		select {
		case s.leaseDue <- struct{}{}:
		default:
		}
	}
}
