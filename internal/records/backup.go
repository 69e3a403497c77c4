package records

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"dnsgate/internal/durable"

	"go.etcd.io/bbolt"
)

// A backup is text: a first line, then changes in the form of Change, then a
// last line that tells a whole backup from a torn one. First come the lines
// of the log; then a line with OLD the same as NEW, which is no history, for
// each host whose state the log does not give.
const (
	backupFirst = "# dnsgate backup, format 1\n"
	backupLast  = "# end: %d lines, revision %d, crc32c %08x\n"
)

// maxRevision is what a backup may have: no store has come so far, and revisions
// must go on growing.
const maxRevision = 1 << 53

// maxExpires is the last second of the year 9999.
const maxExpires = 253_402_300_799

// check says why a store cannot have come to c.
func (c Change) check() error {
	if c.Revision == 0 || c.Revision > maxRevision {
		return fmt.Errorf("revision %d, which no store has", c.Revision)
	}
	count := make(map[Type]int)
	seen := make(map[string]bool)
	for _, r := range c.New {
		count[r.Type()]++
		if seen[r.Value()] {
			return fmt.Errorf("%s has %s twice", c.Name, r.Value())
		}
		seen[r.Value()] = true
		if r.Expires > maxExpires {
			return fmt.Errorf("%s has a lease that ends after the year 9999", c.Name)
		}
		if (r.Type() == TXT) != c.Name.IsChallenge() {
			return fmt.Errorf("%s may have no %s record", c.Name, r.Type())
		}
		if r.Addr.IsValid() {
			if err := CheckAddress(r.Addr, true); err != nil {
				return err
			}
		}
	}
	if count[A] > MaxAddresses || count[AAAA] > MaxAddresses || count[TXT] > MaxTexts {
		return fmt.Errorf("%s has %d A, %d AAAA and %d TXT records; %d, %d and %d are the most",
			c.Name, count[A], count[AAAA], count[TXT], MaxAddresses, MaxAddresses, MaxTexts)
	}
	return nil
}

// BackupWriter writes the backup format.
type BackupWriter struct {
	w     *bufio.Writer
	crc   uint32
	lines int
	text  []byte
}

// NewBackupWriter begins a backup on w. Close ends it.
func NewBackupWriter(w io.Writer) *BackupWriter {
	b := &BackupWriter{w: bufio.NewWriterSize(w, 64<<10)}
	b.w.WriteString(backupFirst)
	return b
}

// Write adds one change.
func (b *BackupWriter) Write(c Change) error {
	b.text = append(c.AppendText(b.text[:0]), '\n')
	b.crc = crc32.Update(b.crc, castagnoli, b.text)
	b.lines++
	_, err := b.w.Write(b.text)
	return err
}

// Close writes the last line, with the store's revision.
func (b *BackupWriter) Close(revision uint64) error {
	fmt.Fprintf(b.w, backupLast, b.lines, revision, b.crc)
	return b.w.Flush()
}

// Backup implements Store.
func (s *Bolt) Backup(w io.Writer) (err error) {
	defer trapDamage(&err)()
	return s.db.View(func(tx *bbolt.Tx) error {
		st, err := getState(tx)
		if err != nil {
			return err
		}
		b := NewBackupWriter(w)
		oldest := st.revision + 1
		err = tx.Bucket(bucketLog).ForEach(func(k, v []byte) error {
			l, err := openLine(k, v)
			if err != nil {
				return err
			}
			oldest = min(oldest, l.Revision)
			return b.Write(l.Change)
		})
		if err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		err = tx.Bucket(bucketHosts).ForEach(func(k, v []byte) error {
			return backupHost(b, k, v, oldest)
		})
		if err != nil {
			return fmt.Errorf("reading the hosts: %w", err)
		}
		return b.Close(st.revision)
	})
}

// backupHost writes a host's state unless the log, whole from revision
// oldest on, gives it.
func backupHost(b *BackupWriter, key, sealed []byte, oldest uint64) error {
	st, err := openHost(key, sealed)
	if err != nil {
		return err
	}
	h := st.host
	if st.logged == h.Revision && st.logged > oldest {
		return nil
	}
	return b.Write(Change{
		Revision: h.Revision, Time: time.UnixMicro(h.Session).Truncate(time.Second), Name: h.Name,
		Old: h.Records, New: h.Records, TTL: h.TTL, Key: "backup", Source: "-",
	})
}

// Restore makes a store in folder, which must be empty or not exist, from a
// backup. Errors of the backup's text are *BackupError. After an error the
// folder is as it was.
func Restore(folder string, backup io.Reader) error {
	if err := durable.MakeFolder(folder, 0o700); err != nil {
		return err
	}
	lock, err := lockFolder(folder)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := CheckJournal(folder); err != nil {
		return err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: it has %q; restore fills an empty folder only", folder, entries[0].Name())
	}
	path := filepath.Join(folder, File)
	temp := path + ".new"
	defer os.Remove(temp)
	if err := restoreInto(temp, backup); err != nil {
		return err
	}
	if err := giveTo(temp, folder); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return durable.SyncFolder(folder)
}

// giveTo gives the file, which root has made, to the owner of the folder.
func giveTo(file, folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	return os.Chown(file, int(owner.Uid), int(owner.Gid))
}

// BackupError is a fault in a backup's text.
type BackupError struct {
	Line int
	Err  error
}

func (e *BackupError) Error() string { return fmt.Sprintf("backup:%d: %v", e.Line, e.Err) }
func (e *BackupError) Unwrap() error { return e.Err }

func restoreInto(path string, backup io.Reader) (err error) {
	db, err := bbolt.Open(path, 0o600, options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.NoSync = true // one Sync at the end makes it durable
	r := restorer{hosts: make(map[Name]string), now: time.Now()}
	tx, err := db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { tx.Rollback() }()
	if r.lines, err = tx.CreateBucket(bucketLog); err != nil {
		return err
	}
	if err := r.read(backup); err != nil {
		return err
	}
	if err := r.finish(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return db.Sync()
}

// restorer replays a backup: the log as it comes, the hosts' states in memory
// until the end.
type restorer struct {
	lines    *bbolt.Bucket
	logged   logSize
	hosts    map[Name]string
	now      time.Time // no session can be later: it would win against all that come
	revision uint64    // the highest seen, then the backup's own
}

func (r *restorer) read(backup io.Reader) error {
	const longest = 64 << 10 // bytes; a host has some dozen values at most
	lines := bufio.NewReaderSize(backup, longest)
	var crc uint32
	for n := 1; ; n++ {
		text, err := lines.ReadSlice('\n')
		switch {
		case err == io.EOF && n == 1 && len(text) == 0:
			return &BackupError{n, errors.New("the input is empty; give it what the admin command backup wrote")}
		case err == io.EOF:
			return &BackupError{n, errors.New("it ends before its last line: the backup is torn")}
		case err == bufio.ErrBufferFull:
			return &BackupError{n, errors.New("line too long")}
		case err != nil:
			return fmt.Errorf("reading the backup: %w", err)
		case n == 1:
			if string(text) != backupFirst {
				return &BackupError{n, fmt.Errorf("not a backup of dnsgate: its first line is not %q", strings.TrimSpace(backupFirst))}
			}
			continue
		case text[0] == '#':
			if err := r.end(string(text), n-2, crc); err != nil {
				return &BackupError{n, err}
			}
			return nil
		}
		crc = crc32.Update(crc, castagnoli, text)
		if err := r.line(string(text[:len(text)-1])); err != nil {
			return &BackupError{n, err}
		}
	}
}

// end checks the last line against what was read before it.
func (r *restorer) end(text string, lines int, crc uint32) error {
	var wantLines int
	var revision uint64
	var wantCRC uint32
	if _, err := fmt.Sscanf(text, backupLast, &wantLines, &revision, &wantCRC); err != nil {
		return errors.New("not a backup's last line")
	}
	if lines != wantLines || crc != wantCRC {
		return errors.New("lines are missing or were changed: the count or the checksum does not match")
	}
	if revision < r.revision || revision > maxRevision {
		return fmt.Errorf("revision %d is lower than that of a line, %d, or one that no store has", revision, r.revision)
	}
	r.revision = revision
	return nil
}

func (r *restorer) line(text string) error {
	c, err := ParseChange(text)
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	r.revision = max(r.revision, c.Revision)
	was, logged, _, _ := decodeHost(c.Name, r.hosts[c.Name], nil)
	h := Host{Name: c.Name, Revision: c.Revision, Session: min(c.Time.UnixMicro(), r.now.UnixMicro()), TTL: c.TTL, Records: c.New}
	h.Had = (was.Had | HadUnknown).With(c.Old).With(c.New) // the log may not reach back to its beginning
	if string(appendRecords(nil, c.Old)) != string(appendRecords(nil, c.New)) || c.Key != "backup" {
		if logged >= c.Revision {
			return fmt.Errorf("revision %d of %s does not come after %d", c.Revision, c.Name, logged)
		}
		if err := putLine(r.lines, line{c, logged}, &r.logged); err != nil {
			return err
		}
		logged = c.Revision
	}
	r.hosts[c.Name] = string(encodeHost(nil, h, logged))
	return nil
}

// finish writes the hosts, in order, and the state.
func (r *restorer) finish(tx *bbolt.Tx) error {
	hosts, err := tx.CreateBucket(bucketHosts)
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucket(bucketMeta); err != nil {
		return err
	}
	hosts.FillPercent = 0.9
	for _, name := range slices.Sorted(maps.Keys(r.hosts)) {
		key := []byte(name)
		if err := hosts.Put(key, seal(nil, key, []byte(r.hosts[name]))); err != nil {
			return err
		}
	}
	return putState(tx, state{r.revision, uint64(len(r.hosts)), r.logged.lines})
}
