// Package boltstore is the store on one disk. It trusts only a file that it wrote
// itself, and only after checking the checksums.
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
	"sync"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	"go.etcd.io/bbolt"
)

// Store is a records.Store: every host in memory, and behind it one bbolt file
// that makes changes durable. One goroutine alone writes; commits that wait at
// the same time share its fsync.
type Store struct {
	*memory.Index
	db   *bbolt.DB
	path string
	file os.FileInfo // of what is open; path may come to name another one
	log  *slog.Logger

	queue   chan *commit
	closing chan struct{}
	ended   chan struct{} // the committer has ended

	mu     sync.Mutex
	failed error // set once the disk can no longer be trusted

	logged logSize // the log bucket; belongs to the committer
}

var _ records.Store = (*Store)(nil)

// File is the name of the embedded store's file in the state folder.
const File = "dnsgate.db"

// The buckets: host name -> sealed host; revision and name -> sealed line of
// the log; and meta: state -> sealed revision, hosts and log lines, which tells
// a file with missing pages from a whole one; forgotten -> sealed revision, the
// latest of a host that was forgotten; id -> sealed name of the store; and perhaps
// mark -> sealed mark.
var (
	bucketHosts = []byte("hosts")
	bucketLog   = []byte("log")
	bucketMeta  = []byte("meta")
	keyState    = []byte("state")

	keyForgotten = []byte("forgotten")
	keyMark      = []byte("mark")
	keyID        = []byte("id")
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
	go s.runCommits()
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
	settled.OpenFile = openDurable
	db, err := bbolt.Open(path, 0o600, settled)
	if err != nil {
		return nil, err
	}
	s = &Store{
		db: db, path: path, log: log,
		queue: make(chan *commit, 1024), closing: make(chan struct{}), ended: make(chan struct{}),
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

// trapDamage turns the panics and memory faults that bbolt has with some damaged files
// into errors. Call it, and defer its result.
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
		return errors.Join(putState(tx, state{}), putForgotten(tx, 0))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return durable.Rename(temp, path)
}

// state is what the meta bucket says of the other two.
type state struct{ revision, hosts, logged uint64 }

func putState(tx *bbolt.Tx, st state) error {
	var v []byte
	for _, n := range []uint64{st.revision, st.hosts, st.logged} {
		v = binary.BigEndian.AppendUint64(v, n)
	}
	return putMeta(tx, keyState, v)
}

func putMeta(tx *bbolt.Tx, key, value []byte) error {
	return tx.Bucket(bucketMeta).Put(key, memory.Seal(key, value))
}

// getMeta returns nothing where the key is not there.
func getMeta(tx *bbolt.Tx, key []byte) (value []byte, err error) {
	if sealed := tx.Bucket(bucketMeta).Get(key); sealed != nil {
		value, err = memory.Unseal(key, sealed)
	}
	if err != nil {
		return nil, fmt.Errorf("meta: %s: %w", key, err)
	}
	return value, nil
}

func getState(tx *bbolt.Tx) (st state, err error) {
	v, err := getMeta(tx, keyState)
	if err == nil && len(v) != 24 {
		err = fmt.Errorf("meta: %s: %w", keyState, memory.ErrTruncated)
	}
	if err != nil {
		return st, err
	}
	st.revision = binary.BigEndian.Uint64(v)
	st.hosts = binary.BigEndian.Uint64(v[8:])
	st.logged = binary.BigEndian.Uint64(v[16:])
	return st, nil
}

func putForgotten(tx *bbolt.Tx, revision uint64) error {
	return putMeta(tx, keyForgotten, binary.BigEndian.AppendUint64(nil, revision))
}

// getForgotten is the store's revision if the file does not say: an earlier dnsgate did
// not write it.
func getForgotten(tx *bbolt.Tx, st state) (uint64, error) {
	v, err := getMeta(tx, keyForgotten)
	if len(v) != 8 {
		return st.revision, err
	}
	return binary.BigEndian.Uint64(v), nil
}

// Mark implements records.Store.
func (s *Store) Mark(context.Context) (mark string, err error) {
	defer trapDamage(&err)()
	err = s.db.View(func(tx *bbolt.Tx) error {
		v, err := getMeta(tx, keyMark)
		mark = string(v)
		return err
	})
	return mark, err
}

// Close ends the store after the commits that were accepted, and closes the
// file.
func (s *Store) Close() error {
	close(s.closing)
	<-s.ended
	return s.db.Close()
}
