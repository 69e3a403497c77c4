// Package boltstore is the store on one disk. It trusts only the file that it wrote
// itself, and that only after its checksums.
package boltstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/records"

	"go.etcd.io/bbolt"
)

// Store is the embedded Store: every host in memory, and behind it one bbolt
// file that makes changes durable. One goroutine alone writes; commits that
// wait at the same time share its fsync.
type Store struct {
	db   *bbolt.DB
	path string
	file os.FileInfo // of what is open; path may come to name another one
	log  *slog.Logger

	queue   chan *commit
	closing chan struct{}
	ended   chan struct{} // the committer has ended
	workers sync.WaitGroup

	mu       sync.RWMutex
	hosts    map[records.Name]string // value as encodeHost makes it; shares memory with the name
	live     int                     // hosts that have records
	made     map[uint64]int          // of these, by MadeBy
	bare     map[records.Name]uint64 // those that have none, and their revision
	revision uint64
	failed   error // set once the disk can no longer be trusted
	recent   recent
	leases   leases
	changed  chan struct{} // closed and replaced at each commit
	leaseDue chan struct{} // capacity 1: an earlier lease end than before

	logged logSize // the log bucket; belongs to the committer
}

var _ records.Store = (*Store)(nil)

// File is the name of the embedded store's file in the state folder.
const File = "dnsgate.db"

// The buckets: host name -> sealed host; revision and name -> sealed line of
// the log; and one key, state -> sealed revision, hosts and log lines, which
// tells a file with missing pages from a whole one.
var (
	bucketHosts = []byte("hosts")
	bucketLog   = []byte("log")
	bucketMeta  = []byte("meta")
	keyState    = []byte("state")
)

// mapSize is the address space kept for the file, so that a reader (backup)
// never makes the writer wait for a larger mapping.
const mapSize = min(1<<36, 1<<(^uint(0)>>63*6+30))

// Open opens the store in folder, and makes both if there is nothing yet. It
// checks every value. A file that is damaged, or of a later format, or in use
// by another process, is an error that names it; it is never reset. Errors
// after that go to log.
func Open(folder string, log *slog.Logger) (*Store, error) {
	if err := CheckJournal(folder); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, File)
	s, err := open(folder, path, log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	releasePages(s.db, s.file.Size())
	s.workers.Go(s.runCommits)
	s.workers.Go(s.runLeases)
	return s, nil
}

func open(folder, path string, log *slog.Logger) (s *Store, err error) {
	if err := ensure(folder, path); err != nil {
		return nil, err
	}
	if err := syncNames(folder); err != nil {
		return nil, err
	}
	defer trapDamage(&err)()
	settled := options()
	settled.OpenFile = openSettled
	db, err := bbolt.Open(path, 0o600, settled)
	if err != nil {
		return nil, err
	}
	s = &Store{
		db: db, path: path, log: log, hosts: make(map[records.Name]string),
		made:    make(map[uint64]int),
		bare:    make(map[records.Name]uint64),
		queue:   make(chan *commit, 1024),
		closing: make(chan struct{}), ended: make(chan struct{}),
		changed: make(chan struct{}), leaseDue: make(chan struct{}, 1),
	}
	if s.file, err = os.Lstat(path); err == nil {
		err = s.load()
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

func options() *bbolt.Options {
	return &bbolt.Options{
		Timeout:         time.Second,
		FreelistType:    bbolt.FreelistMapType,
		NoFreelistSync:  true,
		InitialMmapSize: mapSize,
		NoStatistics:    true,
	}
}

// trapDamage makes the panics and memory faults that bbolt answers some
// damaged files with into errors. To be called, and its result deferred.
func trapDamage(err *error) func() {
	was := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(was)
		if p := recover(); p != nil {
			*err = fmt.Errorf("the file is damaged (%v); restore a backup into an empty folder", p)
		}
	}
}

// ensure makes the folder, and a whole empty store under a temporary name
// first: bbolt would take a file of no bytes for a new one.
func ensure(folder, path string) error {
	if err := durable.MakeFolder(folder, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return errors.New("not a regular file")
	case err == nil && info.Size() < 2*4096:
		return fmt.Errorf("the file is damaged: only %d bytes long", info.Size())
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return create(folder, path)
}

func create(folder, path string) error {
	lock, err := lockFolder(folder)
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := os.Lstat(path); err == nil {
		return nil // another process was first
	}
	temp := path + ".new"
	os.Remove(temp)
	db, err := bbolt.Open(temp, 0o600, options())
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketHosts, bucketLog, bucketMeta} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return putState(tx, state{})
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return durable.SyncFolder(folder)
}

// state is what the meta bucket says of the other two.
type state struct{ revision, hosts, logged uint64 }

func putState(tx *bbolt.Tx, st state) error {
	var v []byte
	for _, n := range []uint64{st.revision, st.hosts, st.logged} {
		v = binary.BigEndian.AppendUint64(v, n)
	}
	return tx.Bucket(bucketMeta).Put(keyState, seal(nil, keyState, v))
}

func getState(tx *bbolt.Tx) (st state, err error) {
	v, err := unseal(keyState, tx.Bucket(bucketMeta).Get(keyState))
	if err == nil && len(v) != 24 {
		err = errTruncated
	}
	if err != nil {
		return st, fmt.Errorf("meta: %w", err)
	}
	st.revision = binary.BigEndian.Uint64(v)
	st.hosts = binary.BigEndian.Uint64(v[8:])
	st.logged = binary.BigEndian.Uint64(v[16:])
	return st, nil
}

// load reads and checks the whole file into memory.
func (s *Store) load() error {
	return s.db.View(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketHosts, bucketLog, bucketMeta} {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("no bucket %q: not dnsgate's, or damaged", name)
			}
		}
		st, err := getState(tx)
		if err != nil {
			return err
		}
		if tx.Bucket(bucketMeta).Get(keyJournal) != nil {
			return errJournalMissing
		}
		s.revision, s.recent.from = st.revision, st.revision
		s.hosts = make(map[records.Name]string, st.hosts)
		if err := tx.Bucket(bucketHosts).ForEach(s.loadHost); err != nil {
			return err
		}
		if err := tx.Bucket(bucketLog).ForEach(s.loadLine); err != nil {
			return err
		}
		if uint64(len(s.hosts)) != st.hosts || s.logged.lines != st.logged {
			return fmt.Errorf("the file is damaged: %d hosts and %d log lines where %d and %d belong",
				len(s.hosts), s.logged.lines, st.hosts, st.logged)
		}
		return nil
	})
}

func (s *Store) loadHost(k, v []byte) error {
	st, err := openHost(k, v)
	if err != nil {
		return err
	}
	if st.host.Revision > s.revision {
		return fmt.Errorf("host %q: revision %d is later than the store's %d", k, st.host.Revision, s.revision)
	}
	s.remember(st.host, st.value)
	return nil
}

func (s *Store) loadLine(k, v []byte) error {
	if _, err := unseal(k, v); err != nil {
		return fmt.Errorf("log line %x: %w", k, err)
	}
	s.logged.add(k, v)
	return nil
}

// remember puts h, encoded as value, into memory. Name and value share one
// allocation: with a million hosts that counts.
func (s *Store) remember(h records.Host, value string) {
	var was records.Host
	if old, known := s.hosts[h.Name]; known {
		was, _, _, _ = decodeHost(h.Name, old, nil)
	}
	both := string(h.Name) + value
	h.Name = records.Name(both[:len(h.Name)])
	s.hosts[h.Name] = both[len(h.Name):]
	s.count(was, h)
	s.leases.note(firstExpiry(h.Records), h.Name)
}

// Close ends the store's goroutines, after the commits that were accepted,
// and closes the file.
func (s *Store) Close() error {
	close(s.closing)
	s.workers.Wait()
	return s.db.Close()
}

// Revision implements Store.
func (s *Store) Revision() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.revision
}

// Len implements Store.
func (s *Store) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.live
}

// Names implements Store.
func (s *Store) Names() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.hosts)
}

// Hosts implements Store. It needs no context: memory is always as new as the
// last commit.
func (s *Store) Hosts(_ context.Context, names []records.Name) ([]records.Host, error) {
	hosts := make([]records.Host, len(names))
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i, name := range names {
		hosts[i], _ = s.hostLocked(name)
	}
	return hosts, nil
}

// hostLocked returns a host and the revision of its last line in the log.
func (s *Store) hostLocked(name records.Name) (records.Host, uint64) {
	value, ok := s.hosts[name]
	if !ok {
		return records.Host{Name: name}, 0
	}
	h, logged, _, _ := decodeHost(name, value, nil)
	return h, logged
}

// Find implements Store.
func (s *Store) Find(match func(records.Name) bool) []records.Host {
	var hosts []records.Host
	s.mu.RLock()
	for name := range s.hosts {
		if match(name) {
			h, _ := s.hostLocked(name)
			hosts = append(hosts, h)
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(hosts, func(a, b records.Host) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return hosts
}
