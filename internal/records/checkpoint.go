package records

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// journalTime is how long a change stands in the journal only.
const journalTime = time.Second

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

// write makes d durable: in the journal, or, if it is too large for that, with
// all that the journal holds in the store's file.
func (s *Bolt) write(d *draft) error {
	text := d.appendText(nil)
	overdue := len(s.journaled.hosts) > 0 && s.checkpointDue == nil
	if overdue || !s.journal.takes(text) {
		all := s.journaled.clone()
		all.add(d)
		return s.checkpoint(all)
	}
	if inDoubt, err := s.journal.append(d.revision, text); err != nil {
		return s.storingFailed(s.journal.path, err, inDoubt)
	}
	if s.checkpointDue == nil {
		s.checkpointDue = time.After(journalTime)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journaled.add(d)
	return nil
}

// checkpoint makes all durable in the store's file: what the journal holds,
// and perhaps more. What bbolt's Update does before its own fsync leaves the
// file as it was. Once it is in doubt what stands in the file, nothing may be
// written over that: the journal has it all.
func (s *Bolt) checkpoint(all *draft) error {
	if err := s.inDoubt(); err != nil {
		return err
	}
	logged := s.logged
	err := s.updateFile(func(tx *bbolt.Tx) error { return s.put(tx, all, &logged) })
	if err != nil {
		var atPath *fs.PathError
		return s.storingFailed(s.path, err, !errors.As(err, &atPath) && !errors.Is(err, errBeforeWrite))
	}
	s.journal.restart()
	s.logged, s.checkpointDue = logged, nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journaled = newDraft(all.revision)
	return nil
}

// updateFile is bbolt's Update; where that panics the error is none that tells
// what stands in the file.
func (s *Bolt) updateFile(change func(tx *bbolt.Tx) error) (err error) {
	defer trapDamage(&err)()
	return s.db.Update(change)
}

// storingFailed logs err, and says what it means for what was to be stored.
// After a failed fsync nobody can say what the disk holds, so the store takes
// no further changes.
func (s *Bolt) storingFailed(file string, err error, inDoubt bool) error {
	s.log.Error("storing failed", "file", file, "error", err)
	if !inDoubt {
		return fmt.Errorf("%w; %w", err, ErrNotApplied)
	}
	err = fmt.Errorf("%w (%w); the store takes no changes until dnsgate is restarted", ErrUnknown, err)
	s.mu.Lock()
	s.failed = err
	s.mu.Unlock()
	return err
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

// startJournal takes what an earlier process left in the journal into the
// store's file, and begins a new one. The store's file names the journal that
// belongs to it.
func (s *Bolt) startJournal(folder string) error {
	path := filepath.Join(folder, JournalFile)
	if err := s.replay(path); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	id := rand.Uint64() | 1
	var err error
	s.journal, err = createJournal(folder, path, id)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		s.log.Warn("there is no room for the journal; until the next start each change is written to the store's file at once", "error", err)
		s.journal = new(journal)
		return nil
	}
	if err != nil {
		return err
	}
	err = s.updateMeta(func(meta *bbolt.Bucket) error {
		return meta.Put(keyJournal, seal(nil, keyJournal, binary.BigEndian.AppendUint64(nil, id)))
	})
	if err != nil {
		s.journal.file.Close()
	}
	return err
}

func (s *Bolt) updateMeta(change func(meta *bbolt.Bucket) error) error {
	err := s.updateFile(func(tx *bbolt.Tx) error { return change(tx.Bucket(bucketMeta)) })
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	return nil
}

// dropJournal takes the journal away, all of which is in the store's file.
func (s *Bolt) dropJournal(path string) error {
	err := s.updateMeta(func(meta *bbolt.Bucket) error { return meta.Delete(keyJournal) })
	if err != nil {
		return err
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// replay takes what the journal at path holds beyond the store's file into
// that, and takes the journal away.
func (s *Bolt) replay(path string) error {
	left, err := readJournal(path, s.journal.id, s.revision)
	if errors.Is(err, fs.ErrNotExist) && s.journal.id == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	for _, g := range left {
		d, err := parseDraft(string(g.text), g.revision)
		if err != nil {
			return damaged("revision %d: %w", g.revision, err)
		}
		if d.from != s.revision {
			return damaged("revision %d follows %d, and the store is at %d", g.revision, d.from, s.revision)
		}
		s.journaled.add(d)
		s.publish(d)
	}
	if len(left) > 0 {
		if err := s.checkpoint(s.journaled); err != nil {
			return err
		}
	}
	return s.dropJournal(path)
}

// endJournal leaves the store's file alone in the folder, with all that there
// is in it. If it cannot, the journal stays, and the next start reads it.
func (s *Bolt) endJournal() {
	if s.journal.file == nil {
		return
	}
	defer s.journal.file.Close()
	if s.inDoubt() != nil || len(s.journaled.hosts) > 0 && s.checkpoint(s.journaled) != nil {
		return
	}
	if s.there() != nil {
		return // it is another one's folder, or none
	}
	if err := s.dropJournal(s.journal.path); err != nil {
		s.log.Error("removing the journal failed", "error", err)
	}
}

// view reads the store's file, and what the journal holds beyond that.
func (s *Bolt) view(read func(tx *bbolt.Tx, st state, beyond *draft) error) error {
	s.mu.RLock()
	beyond := s.journaled.clone() // before the file: a checkpoint takes from one to the other
	s.mu.RUnlock()
	return s.db.View(func(tx *bbolt.Tx) error {
		st, err := getState(tx)
		if err != nil {
			return err
		}
		beyond.drop(st.revision)
		return read(tx, st, beyond)
	})
}
