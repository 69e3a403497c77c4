package authkeys

import (
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/watch"
)

// retryInterval is the time between two attempts to read a file after a failure.
const retryInterval = time.Second

// A file that is written in place is empty for a moment, and half there for another. It
// is read once it has not changed for stillness. A file that goes on changing is read
// all the same, lateness after the first change, so that a removed key may do nothing a
// second later.
const (
	stillness = 250 * time.Millisecond
	lateness  = 700 * time.Millisecond // the watcher needs up to 200 ms
	glance    = 25 * time.Millisecond
)

// follower reads a file whenever it has changed, and again after a failed read.
type follower struct {
	path    string
	watcher *watch.Watcher
	stop    chan struct{}
	done    chan struct{}
}

// following is the work of a follower.
type following struct {
	read   func()
	early  func()              // reads it while it is changing
	failed func() bool         // the last read
	seen   func(durable.Stamp) // the file is changing, and looks so
	still  func()              // it has been read in its present state
}

func newFollower(path string) *follower {
	return &follower{path, watch.New(watch.Literal(path)), make(chan struct{}), make(chan struct{})}
}

// close ends run, and waits for that.
func (f *follower) close() {
	close(f.stop)
	<-f.done
	f.watcher.Close()
}

func (f *follower) run(do following) {
	defer close(f.done)
	for {
		var retry <-chan time.Time
		if do.failed() {
			retry = time.After(retryInterval)
		}
		select {
		case <-f.stop:
			return
		case <-f.watcher.Changed():
			f.awaitStillness(do)
		case <-retry:
			do.read()
		}
	}
}

// awaitStillness reads a file once it has stopped changing.
func (f *follower) awaitStillness(do following) {
	last, _ := durable.StampAt(f.path) // one that is missing is zero
	do.seen(last)
	defer do.still()
	began, still := time.Now(), time.Now()
	for time.Since(still) < stillness {
		select {
		case <-f.stop:
			return
		case <-time.After(glance):
		}
		if now, _ := durable.StampAt(f.path); now != last {
			last, still = now, time.Now()
			do.seen(now)
		}
		if time.Since(began) >= lateness {
			do.early()
			began = time.Now()
		}
	}
	select {
	case <-f.watcher.Changed(): // a change that has been waited for
	default:
	}
	do.read()
}
