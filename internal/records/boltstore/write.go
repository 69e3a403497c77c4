package boltstore

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	"go.etcd.io/bbolt"
)

// maxLog is how many changes the log keeps, and maxLogBytes how much room they
// take: a line with many TXT values has up to 17 KiB. Older ones leave it.
const (
	maxLog      = 1 << 18
	maxLogBytes = 256 << 20
)

// logSize is the size of the log.
type logSize struct{ lines, bytes uint64 }

func (l *logSize) add(key, sealed []byte) {
	l.lines++
	l.bytes += uint64(len(key) + len(sealed))
}

func (l *logSize) remove(key, sealed []byte) {
	l.lines--
	l.bytes -= uint64(len(key) + len(sealed))
}

// write makes d durable. Where bbolt's Update fails before its own fsync, the
// file is as it was.
func (s *Store) write(d *draft) error {
	logged := s.logged
	err := s.updateFile(func(tx *bbolt.Tx) error {
		logged = s.logged
		return s.put(tx, d, &logged)
	})
	if err != nil {
		return s.writeFailed(err)
	}
	s.logged = logged
	return nil
}

// writeFailed is storingFailed of an error of updateFile.
func (s *Store) writeFailed(err error) error {
	var atPath *fs.PathError
	return s.storingFailed(err, !errors.As(err, &atPath) && !errors.Is(err, errBeforeWrite))
}

// updateFile is bbolt's Update. After a panic there, the error does not say what stands
// in the file.
func (s *Store) updateFile(change func(tx *bbolt.Tx) error) (err error) {
	defer trapDamage(&err)()
	return s.db.Update(change)
}

// storingFailed logs err, and says what happened to the transactions. After a failed
// fsync nobody can say what the disk holds, so the store takes no further changes.
func (s *Store) storingFailed(err error, inDoubt bool) error {
	s.log.Error("storing failed", "file", s.path, "error", err)
	if !inDoubt {
		return fmt.Errorf("%w; %w", err, records.ErrNotApplied)
	}
	err = fmt.Errorf("%w (%w); the store takes no changes until dnsgate is restarted", records.ErrUnknown, err)
	s.mu.Lock()
	s.failed = err
	s.mu.Unlock()
	return err
}

var errBeforeWrite = errors.New("changing the file's pages failed")

func (s *Store) put(tx *bbolt.Tx, d *draft, logged *logSize) error {
	hosts := tx.Bucket(bucketHosts)
	for _, name := range slices.Sorted(maps.Keys(d.hosts)) {
		key := []byte(name)
		if err := hosts.Put(key, memory.SealHost(d.hosts[name])); err != nil {
			return fmt.Errorf("%w: %w", errBeforeWrite, err)
		}
	}
	lines := tx.Bucket(bucketLog)
	// Lines are written in the order of keys, and no more than stay in the log.
	// Otherwise each moves all the others of a page that is split only at the end, and
	// a million hosts take minutes.
	slices.SortFunc(d.lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Name, b.Name))
	})
	for _, l := range d.lines[max(0, len(d.lines)-maxLog):] {
		if err := putLine(lines, l, logged); err != nil {
			return fmt.Errorf("%w: %w", errBeforeWrite, err)
		}
	}
	if err := trimLog(lines, logged); err != nil {
		return fmt.Errorf("%w: %w", errBeforeWrite, err)
	}
	if d.mark != "" {
		if err := putMeta(tx, keyMark, []byte(d.mark)); err != nil {
			return fmt.Errorf("%w: %w", errBeforeWrite, err)
		}
	}
	st := state{revision: d.revision, hosts: s.countHosts(d), logged: logged.lines}
	return putState(tx, st)
}

func (s *Store) countHosts(d *draft) uint64 {
	n := uint64(s.Names())
	for name := range d.hosts {
		if s.Entry(name).Revision == 0 {
			n++
		}
	}
	return n
}

// A line of the log is kept under its revision and name. In front of its text
// stands the revision of the host's line before it, so that a host's history
// is found without reading everybody's.
func lineKey(revision uint64, name records.Name) []byte {
	return append(binary.BigEndian.AppendUint64(nil, revision), name...)
}

func putLine(lines *bbolt.Bucket, l line, size *logSize) error {
	key := lineKey(l.Revision, l.Name)
	value := l.AppendText(binary.BigEndian.AppendUint64(nil, l.prev))
	lines.FillPercent = 0.95 // keys only grow
	sealed := memory.Seal(key, value)
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
