package datafile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/pause"
	"dnsgate/internal/tinydns"

	"golang.org/x/sys/unix"
)

// rebuild builds data.cdb by a command of the operator's, such as make.
type rebuild struct {
	command
	sources *sources
	own     func() string // a file that dnsgate writes; "" if it writes none

	database databaseCuts

	ran      bool                     // the last run succeeded
	ended    time.Time                // the last run
	seen     map[string]durable.Stamp // the sources after it
	products map[string]struct{}      // sources that the command itself changes
}

func (r *rebuild) sweep() {}

func (r *rebuild) close() {}

func (r *rebuild) cuts() (*tinydns.Cuts, error) { return r.database.read() }

// build runs the command if files were written, or sources changed since the
// last run, or that failed.
func (r *rebuild) build(ctx context.Context, written []string, begun []*draft, whole bool) error {
	if err := commit(begun); err != nil {
		return err
	}
	before, err := r.sources.stamps()
	if err != nil {
		return err
	}
	if r.ran && len(written) == 0 && !whole && maps.Equal(before, r.seen) {
		return nil
	}
	r.ran = false
	if own := r.own(); len(written) == 0 && own != "" {
		// A source was perhaps edited in the tick in which make last ran, and is not
		// newer than make's result. A file of dnsgate's own is made newer.
		written = []string{own}
	}
	if err := r.refresh(ctx, written); err != nil {
		return err
	}
	// It runs once more if a source changed during the run: the change may have come
	// too late for the command to see.
	for again, tries := true, 0; again && tries < 2; tries++ {
		if before, err = r.sources.stamps(); err != nil {
			return err
		}
		if err := r.run(ctx); err != nil {
			return err
		}
		r.ended = time.Now()
		after, err := r.sources.stamps()
		if err != nil {
			return err
		}
		again = r.learn(before, after)
		r.seen = after
	}
	r.ran = true
	return nil
}

// learn notes the sources that changed during a run: the command itself makes them, as
// make does with data. It reports whether that is news.
func (r *rebuild) learn(before, after map[string]durable.Stamp) (news bool) {
	if r.products == nil {
		r.products = make(map[string]struct{})
	}
	for path, at := range after {
		if _, known := r.products[path]; known || before[path] == at {
			continue
		}
		news = true
		if path == r.sources.also { // dnsgate's and the operator's, which no command makes
			after[path] = before[path]
			continue
		}
		r.products[path] = struct{}{}
	}
	return news
}

// farFuture is how far in the future a time must be to mean that the clock
// went back.
const farFuture = 2 * time.Second

// refresh makes each written file newer than all results of the last run, for make,
// which compares coarse times: two changes within a tick of the clock, or a clock that
// went back, would leave the second one unnoticed.
func (r *rebuild) refresh(ctx context.Context, written []string) error {
	newest := r.ended
	for _, name := range []string{database, "data"} {
		path := filepath.Join(r.root, name)
		info, err := os.Stat(path)
		if err != nil || containsFile(written, path) {
			continue // not made yet, or not made at all
		}
		at, now := info.ModTime(), time.Now()
		if name == database && at.After(now.Add(farFuture)) {
			at = now.Add(-time.Second) // or it would be newer than everything made from it
			if err := os.Chtimes(path, time.Time{}, at); err != nil {
				return err
			}
		}
		if at.After(newest) {
			newest = at
		}
	}
	for _, path := range written {
		if err := touchAfter(ctx, path, newest); err != nil {
			return err
		}
	}
	return nil
}

func containsFile(paths []string, path string) bool {
	for _, p := range paths {
		if sameFile(p, path) {
			return true
		}
	}
	return false
}

// touchAfter sets the time of the file at path, if it is not later than a
// given one, as soon as the clock allows.
func touchAfter(ctx context.Context, path string, newest time.Time) error {
	for ctx.Err() == nil {
		info, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil // its host is gone
		}
		if err != nil || info.ModTime().After(newest) {
			return err
		}
		if newest.After(time.Now().Add(farFuture)) {
			return os.Chtimes(path, time.Time{}, newest.Add(time.Second)) // the clock went back
		}
		// The kernel's own time, as the files that make makes will get it.
		now := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_NOW}}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, now, 0); err != nil {
			return fmt.Errorf("setting the time of %s: %w", path, err)
		}
		pause.For(ctx, glance)
	}
	return ctx.Err()
}
