package publish

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"dnsgate/internal/pause"
	"dnsgate/internal/records"
)

const (
	// longRound is a round that takes so long that the next one waits as
	// long again: publishing takes at most half of the time then.
	longRound = 100 * time.Millisecond

	// maxPause bounds that wait, for targets that are slow for other reasons.
	maxPause = 2 * time.Second

	// shutdownGrace is for the round under way when the gateway stops, and
	// for the last one.
	shutdownGrace = 4 * time.Second
)

// runner keeps one target up to the store. One goroutine publishes, round by round.
// Another one gathers the changes meanwhile, the newest state of each host, and the
// next round takes them all.
type runner struct {
	target Target
	follow func() Source
	log    *slog.Logger
	wake   chan struct{} // capacity 1: there may be something to do

	verifier Verifier // asks what is served; nil: nobody does

	mu        sync.Mutex
	work                    // to do
	outcome                 // of finished rounds
	busy      bool          // a round is under way
	ended     chan struct{} // closed and replaced when a round ends
	askedFor  uint64        // whole writes that operators asked for
	refollow  func()        // makes gather start again with the whole
	notBefore time.Time
}

// work is what the next round takes.
type work struct {
	needWhole bool                          // the next round is a whole write,
	picture   *picture                      // of this, once it has come
	pending   map[records.Name]records.Host // changed since, at revision known
	known     uint64
	since     time.Time // when pending, or needWhole, began
	changed   bool      // the target's own sources changed
	urgent    bool      // no waiting
}

func newRunner(t Target, follow func() Source, log *slog.Logger) *runner {
	r := &runner{target: t, follow: follow, log: log,
		wake: make(chan struct{}, 1), ended: make(chan struct{}), refollow: func() {}}
	r.needWhole = true
	r.since = time.Now()
	r.pending = make(map[records.Name]records.Host)
	r.failed = make(map[records.Name]refusal)
	return r
}

func (r *runner) run(ctx context.Context) {
	working, cancel := withGrace(ctx, shutdownGrace)
	defer cancel()
	var helpers sync.WaitGroup
	helpers.Go(func() { r.gather(ctx) })
	if w, ok := r.target.(Watcher); ok {
		helpers.Go(func() { r.watch(ctx, w) })
	}
	for {
		next, ok := r.next(ctx)
		if !ok {
			break
		}
		r.publish(working, next)
	}
	helpers.Wait()
	if last, ok := r.last(); ok {
		r.publish(working, last)
	}
	if c, ok := r.target.(io.Closer); ok {
		if err := c.Close(); err != nil {
			r.log.Error("closing failed", "err", err)
		}
	}
}

// withGrace returns a context that ends a while after ctx does.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(grace):
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() { stop(); cancel() }
}

// gather follows the store, from the start again whenever refollow is called.
func (r *runner) gather(ctx context.Context) {
	for ctx.Err() == nil {
		following, cancel := context.WithCancel(ctx)
		r.mu.Lock()
		r.refollow = cancel
		r.mu.Unlock()
		source := r.follow()
		err := r.gatherFrom(following, source)
		if following.Err() == nil {
			r.log.Error("following the store failed", "err", err)
			pause.For(ctx, firstDelay)
		}
		cancel()
	}
}

func (r *runner) gatherFrom(ctx context.Context, source Source) error {
	for {
		u, err := source.Next(ctx)
		if err == nil && !u.Whole && u.Left > 0 {
			u, err = records.Collect(ctx, &resumed{&u, source})
		}
		if err != nil {
			return err
		}
		if u.Whole {
			err = r.takeWhole(ctx, newPicture(u, source))
		} else {
			r.take(r.ours(u.Hosts), u.Revision)
		}
		if err != nil {
			return err
		}
	}
}

// ours keeps the hosts that the target covers.
func (r *runner) ours(hosts []records.Host) []records.Host {
	kept := hosts[:0]
	for _, h := range hosts {
		if r.target.Covers(h.Name) {
			kept = append(kept, h)
		}
	}
	return kept
}

// take adds changed hosts to the work.
func (r *runner) take(hosts []records.Host, revision uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since.IsZero() && len(hosts) > 0 {
		r.since = time.Now()
	}
	r.known = revision
	for _, h := range hosts {
		r.pending[h.Name] = h
	}
	r.rouse()
}

// watch notes when the target's own sources change.
func (r *runner) watch(ctx context.Context, w Watcher) {
	for {
		select {
		case <-w.Changed():
			r.mu.Lock()
			r.changed, r.urgent = true, true
			r.rouse()
			r.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// rouse makes next look again.
func (r *runner) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// next waits for work; it returns false when ctx ended.
func (r *runner) next(ctx context.Context) (round, bool) {
	for {
		if ctx.Err() != nil {
			return round{}, false
		}
		next, until, ok := r.begin(time.Now())
		if ok {
			return next, true
		}
		var timer <-chan time.Time // never, where there is nothing to wait for
		if !until.IsZero() {
			timer = time.After(time.Until(until))
		}
		select {
		case <-r.wake:
		case <-timer:
		case <-ctx.Done():
		}
	}
}

// begin starts a round if there is work and its time has come. Otherwise it returns
// that time, if it is known.
func (r *runner) begin(now time.Time) (next round, until time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.urgent {
		if r.all.waiting(now) {
			return round{}, r.all.until, false
		}
		if now.Before(r.notBefore) {
			return round{}, r.notBefore, false
		}
	}
	if r.urgent {
		r.some.now()
	}
	refusedDue := len(r.failed) > 0 && !r.some.waiting(now)
	switch {
	case r.needWhole && r.picture != nil:
		return r.beginWhole(), time.Time{}, true
	case r.needWhole: // the picture is on its way
		return round{}, time.Time{}, false
	case len(r.pending) > 0 || r.changed || refusedDue:
		return r.beginChanges(refusedDue), time.Time{}, true
	}
	r.reach(r.known) // nothing of it was for this target
	if len(r.failed) > 0 {
		return round{}, r.some.until, false
	}
	return round{}, time.Time{}, false
}
