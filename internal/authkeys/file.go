package authkeys

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"dnsgate/internal/durable"

	"golang.org/x/crypto/ssh"
)

// File is an authorized_keys file in use. It notices changes within a second. When the
// file cannot be trusted or read, it keeps its keys, logs why, and tries again. Its
// methods may be called by any goroutine.
type File struct {
	path     string
	log      *slog.Logger
	current  atomic.Pointer[loaded]
	follower *follower

	gone gone

	mu      sync.Mutex // one reload at a time
	failure failure    // of the last attempt
}

type loaded struct {
	set      *Set
	problems []Problem
}

// Open reads the file at path, logs each of its faults, and watches it. The
// error says why the file cannot be used at all. Close must be called.
func Open(path string, log *slog.Logger) (*File, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, log: log}
	f.follower = newFollower(path) // before the first read, so that no change is missed
	if err := f.Reload(); err != nil {
		f.follower.watcher.Close()
		return nil, err
	}
	again := func() { f.read() } // logs its error
	go f.follower.run(following{
		read:   again,
		early:  again,
		failed: f.failed,
		seen:   f.gone.seen,
		still:  f.gone.still,
	})
	return f, nil
}

// Close stops following the file and waits for that to end. The keys stay as
// they are. It must be called once.
func (f *File) Close() { f.follower.close() }

func (f *File) failed() bool {
	why, _ := f.Failure()
	return why != ""
}

// Failure says why the file cannot be read, and since when; "" if it can.
func (f *File) Failure() (why string, since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failure.why, f.failure.since
}

// Reload reads the file now, assuming that nobody is writing it. After an error the
// keys stay those of the last good read. The error is logged too, unless it repeats the
// last one.
func (f *File) Reload() error {
	stamp, _ := durable.StampAt(f.path) // read reports a file that cannot be read
	err := f.read()
	if err == nil {
		f.gone.whole(stamp)
	}
	return err
}

func (f *File) read() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	set, problems, err := Load(f.path)
	if err != nil {
		err = fmt.Errorf("reading authorized keys: %w", err)
		if news := f.failure.note(err); news && f.current.Load() != nil {
			f.log.Error("authorized keys not reloaded, keeping those there are", "error", err)
		}
		return err
	}
	f.failure = failure{}
	if before := f.current.Swap(&loaded{set, problems}); before != nil {
		f.gone.replace(before.set, set, time.Now())
	}
	for _, fault := range problems {
		if fault.Warning {
			f.log.Warn("authorized key of no use", "fault", fault.String())
		} else {
			f.log.Warn("authorized key refused", "fault", fault.String())
		}
	}
	f.log.Info("authorized keys loaded", "file", f.path, "keys", len(set.grants), "faults", len(problems))
	return nil
}

// Lookup is Set.Lookup on the current keys. Of a key that has just left the
// file, the error wraps ErrChanging or ErrGone.
func (f *File) Lookup(key ssh.PublicKey, source netip.Addr, now time.Time) (Grant, error) {
	g, err := f.Set().Lookup(key, source, now)
	if key != nil && errors.Is(err, ErrUnknown) {
		err = f.gone.explain(inFile(key), now)
	}
	return g, err
}

// Set returns the current keys.
func (f *File) Set() *Set { return f.current.Load().set }

// Problems returns what was wrong with the lines as of the last good read.
func (f *File) Problems() []Problem { return f.current.Load().problems }
