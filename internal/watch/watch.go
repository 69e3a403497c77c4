// Package watch reports that files changed: replaced by a rename, written in place,
// created, removed, or gone with their folder and back again.
//
// fsnotify on the folders makes it quick, and polling makes it certain: where a folder
// cannot be watched, or the file system or a symbolic link hides the change, a look at
// every file finds it. A notification is never believed; it is only a reason to look.
package watch

import (
	"hash/maphash"
	"path/filepath"
	"strings"
	"time"

	"dnsgate/internal/durable"

	"github.com/fsnotify/fsnotify"
)

const (
	// patience bounds the wait for files that never settle.
	patience = 200 * time.Millisecond

	// pollInterval is the time between two looks without a notification.
	pollInterval = 500 * time.Millisecond

	// With many files the looks are rarer: they take at most this part of the time.
	unwatchedShare = 50
	watchedShare   = 500
)

// Watcher tells when any of a set of files changed. Its methods may be called
// by any goroutine.
type Watcher struct {
	levels  []string // the patterns, and those of their folders that are patterns too
	globs   []string // the patterns
	changed chan struct{}
	poll    time.Duration // pollInterval
	stop    chan struct{}
	done    chan struct{}
	seed    maphash.Seed

	notify  *fsnotify.Watcher // nil: this machine gives us none
	folders map[string]identity
	seen    picture
}

// New watches the files that match the patterns (syntax of filepath.Match), now or
// later; a malformed pattern matches none. It reports every change after New returned.
// Close must be called.
func New(patterns ...string) *Watcher {
	w := build(patterns)
	w.notify, _ = fsnotify.NewWatcher()
	w.start()
	return w
}

func build(patterns []string) *Watcher {
	w := &Watcher{
		changed: make(chan struct{}, 1),
		poll:    pollInterval,
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		seed:    maphash.MakeSeed(),
		folders: make(map[string]identity),
	}
	for _, p := range patterns {
		p = filepath.Clean(p)
		w.globs = append(w.globs, p)
		w.levels = append(w.levels, p)
		for dir := filepath.Dir(p); hasMeta(dir); dir = filepath.Dir(dir) {
			w.levels = append(w.levels, dir)
		}
	}
	return w
}

func (w *Watcher) start() {
	for start := time.Now(); ; time.Sleep(durable.StampStep) {
		w.seen = w.look()
		if !w.seen.unsettled || time.Since(start) >= patience {
			break
		}
	}
	go w.run()
}

// Literal returns the pattern that names exactly path.
func Literal(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// Changed delivers a value after a change, within a second and usually within 50 ms.
// Changes in quick succession are reported once; the last of them is always reported
// after it was made. The channel is never closed.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Close ends the watch and waits for its goroutine. It must be called once.
func (w *Watcher) Close() {
	close(w.stop)
	<-w.done
	if w.notify != nil {
		w.notify.Close()
	}
}

func (w *Watcher) run() {
	defer close(w.done)
	var events chan fsnotify.Event
	var errors chan error
	if w.notify != nil {
		events, errors = w.notify.Events, w.notify.Errors
	}
	timer := time.NewTimer(w.interval())
	defer timer.Stop()
	var since time.Time // of the change not told yet; zero: none
	touch := func() {
		if since.IsZero() {
			since = time.Now()
			timer.Reset(durable.StampStep)
		}
	}
	for {
		select {
		case <-w.stop:
			return
		case event := <-events:
			if w.concerns(event) {
				touch()
			}
		case <-errors: // lost events, most likely
			touch()
		case <-timer.C:
			if since.IsZero() {
				since = time.Now()
			}
			if w.check(time.Since(since) >= patience) {
				since = time.Time{}
				timer.Reset(w.interval())
			} else {
				timer.Reset(durable.StampStep)
			}
		}
	}
}

// check looks at the files and reports a change. It returns false, without a report, if
// files changed a moment ago and the next change might look the same, unless it has to
// come to an end now.
func (w *Watcher) check(end bool) bool {
	now := w.look()
	if now.sum == w.seen.sum && !w.seen.unsettled {
		w.seen.cost = now.cost
		return true
	}
	if now.unsettled && !end {
		return false
	}
	w.seen = now
	select {
	case w.changed <- struct{}{}:
	default:
	}
	return true
}

// interval is how long to wait for a notification before looking without one.
func (w *Watcher) interval() time.Duration {
	share := time.Duration(watchedShare)
	if w.seen.unwatched {
		share = unwatchedShare
	}
	return max(w.poll, share*w.seen.cost)
}

// concerns reports whether an event is a reason to look. A watch ends with its
// folder, even where a new folder gets the old one's inode number.
func (w *Watcher) concerns(event fsnotify.Event) bool {
	if _, folder := w.folders[event.Name]; folder {
		if event.Has(fsnotify.Remove | fsnotify.Rename) {
			w.forget(event.Name)
		}
		return true
	}
	for _, p := range w.levels {
		if ok, _ := filepath.Match(p, event.Name); ok {
			return true
		}
	}
	return false
}

// hasMeta reports whether path is a pattern rather than a plain path.
func hasMeta(path string) bool { return strings.ContainsAny(path, `*?[\`) }
