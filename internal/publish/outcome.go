package publish

import (
	"context"
	"errors"
	"time"

	"dnsgate/internal/records"
)

// outcome is the result of the rounds so far.
type outcome struct {
	reached  uint64                   // published, apart from failed
	failed   map[records.Name]refusal // hosts that the target refused
	down     error                    // the last round failed as a whole; nil: it did not
	all      backoff                  // after a whole failure
	some     backoff                  // of failed
	rebuilt  uint64                   // whole writes asked for that are done
	lastErr  error                    // of the last round that failed, even in part
	lastTime time.Time                // of lastErr
	ok, bad  uint64                   // rounds that ended without a failure, and with one
	took     time.Duration            // the last round
}

// refusal is a host that the target could not publish.
type refusal struct {
	host  records.Host
	given bool // false: the target found out by itself; host is not known here
	err   error
}

// end notes the outcome of a round and tells all who wait for it.
func (r *runner) end(done round, err error, start, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy = false
	r.took = now.Sub(start)
	if r.took > longRound && done.whole == nil { // behind a whole write, rounds are short again
		r.notBefore = now.Add(min(r.took, maxPause))
	}
	var refused HostErrors
	switch {
	case err == nil, errors.As(err, &refused):
		r.succeed(done, refused, now)
	default:
		r.fail(done, err, now)
	}
	r.note(done, err, start, now)
	if done.whole != nil {
		r.rebuilt = done.asked
	}
	close(r.ended)
	r.ended = make(chan struct{})
}

// succeed notes that all of the round is published, but for the hosts in refused.
func (r *runner) succeed(done round, refused HostErrors, now time.Time) {
	r.reach(done.revision)
	r.down = nil
	r.all.reset()
	r.forgive(done)
	given := make(map[records.Name]records.Host, len(refused))
	for _, h := range done.hosts {
		if refused[h.Name] != nil {
			given[h.Name] = h
		}
	}
	changed := false
	for name, err := range refused {
		host, ok := given[name]
		was, known := r.failed[name]
		if known && !ok {
			host, ok = was.host, was.given
		}
		changed = changed || !known || was.host.Revision != host.Revision
		r.failed[name] = refusal{host, ok, err}
	}
	r.scheduleRefused(changed, now)
}

// forgive drops the refusals that the round has tried again.
func (r *runner) forgive(done round) {
	if done.whole != nil {
		clear(r.failed)
	}
	if len(r.failed) == 0 {
		return
	}
	for _, h := range done.hosts {
		delete(r.failed, h.Name)
	}
	for name, f := range r.failed {
		if !f.given {
			delete(r.failed, name)
		}
	}
}

func (r *runner) scheduleRefused(changed bool, now time.Time) {
	switch {
	case len(r.failed) == 0:
		r.some.reset()
	case changed:
		r.some.restart()
		r.some.fail(now)
	case !r.some.waiting(now):
		r.some.fail(now)
	}
}

// fail notes that nothing is known to be published. All hosts of the round come again,
// or their newer states.
func (r *runner) fail(done round, err error, now time.Time) {
	r.down = err
	r.all.fail(now)
	if done.whole != nil || r.needWhole {
		r.needWhole = true
		if r.picture == nil {
			r.refollow()
		}
		return
	}
	for _, h := range done.hosts {
		if _, newer := r.pending[h.Name]; !newer {
			r.pending[h.Name] = h
		}
	}
	r.changed = true
}

// note keeps the counts, and logs news for the operator.
func (r *runner) note(done round, err error, start, now time.Time) {
	if len(r.pending) == 0 && len(r.failed) == 0 && !r.needWhole {
		r.since = time.Time{}
	} else if r.down == nil && len(r.failed) == 0 {
		r.since = start
	}
	if r.down == nil && len(r.failed) == 0 {
		if r.lastErr != nil {
			r.log.Info("publishing works again", "revision", r.reached)
		}
		r.lastErr = nil
		r.ok++
		return
	}
	if err == nil { // what was refused before has not been tried again
		r.ok++
		return
	}
	r.lastErr, r.lastTime = err, now
	r.bad++
	r.log.Error("publishing failed", "err", err, "hosts", len(done.hosts), "whole", done.whole != nil, "next_try", r.nextTry())
}

func (r *runner) nextTry() time.Time {
	if r.down != nil {
		return r.all.until
	}
	if len(r.failed) > 0 {
		return r.some.until
	}
	return time.Time{}
}

// reach notes that everything up to revision is published, apart from failed.
func (r *runner) reach(revision uint64) { r.reached = max(r.reached, revision) }

// covered returns those of names that the target publishes.
func (r *runner) covered(names []records.Name) []records.Name {
	var covered []records.Name
	for _, name := range names {
		if r.target.Covers(name) {
			covered = append(covered, name)
		}
	}
	return covered
}

// wait blocks until all names are published as they are at revision, or it is known
// that they are not.
func (r *runner) wait(ctx context.Context, names []records.Name, revision uint64) error {
	if len(names) == 0 {
		return nil
	}
	return r.await(ctx, func() (bool, error) { return r.verdict(names, revision) })
}

// await returns what look reports once it is done. It looks now and whenever a round has
// ended, with the runner locked.
func (r *runner) await(ctx context.Context, look func() (done bool, err error)) error {
	for {
		r.mu.Lock()
		done, err := look()
		ended := r.ended
		r.mu.Unlock()
		if done {
			return err
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return late(ctx)
		}
	}
}

// verdict reports what is known of names now; done is false while a round is still to
// report.
func (r *runner) verdict(names []records.Name, revision uint64) (done bool, err error) {
	if r.reached < revision {
		return r.down != nil && !r.busy, r.down
	}
	for _, name := range names {
		if f, ok := r.failed[name]; ok {
			return true, f.err
		}
	}
	return true, nil
}

// askRebuild asks for a whole write and returns the ticket to wait with.
func (r *runner) askRebuild() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.askedFor++
	r.urgent, r.needWhole = true, true
	if r.picture == nil {
		r.refollow()
	}
	r.rouse()
	return r.askedFor
}

func (r *runner) waitRebuild(ctx context.Context, ticket uint64) error {
	return r.await(ctx, func() (bool, error) { return r.rebuilt >= ticket, r.lastErr })
}

func (r *runner) progress() records.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := records.Progress{
		Name: r.target.Name(), Revision: r.reached, Known: r.known,
		Pending: len(r.pending) + len(r.failed), Failed: len(r.failed), PendingSince: r.since,
		LastErrorTime: r.lastTime, NextTry: r.nextTry(),
		Publications: r.ok, Failures: r.bad, LastDuration: r.took,
	}
	if r.picture != nil {
		p.Pending += r.picture.size()
	}
	for _, f := range r.failed {
		if f.given && len(f.host.Records) == 0 && (p.Kept == 0 || f.host.Revision < p.Kept) {
			p.Kept = f.host.Revision
		}
	}
	if r.lastErr != nil {
		p.LastError = r.lastErr.Error()
	}
	if t, ok := r.target.(Errander); ok {
		p.Errands = t.Errands()
	}
	return p
}
