package publish

import (
	"context"
	"errors"
	"time"

	"dnsgate/internal/records"
)

// round is the input of one call of Publish or PublishAll, and the revision that the target then has.
type round struct {
	hosts    []records.Host
	whole    *picture // instead of hosts
	revision uint64
	asked    uint64 // the number of whole writes asked for so far, which this one answers
}

func (r *runner) beginWhole() round {
	next := round{whole: r.picture, asked: r.askedFor}
	r.picture, r.needWhole = nil, false
	r.busy, r.changed, r.urgent = true, false, false
	return next
}

func (r *runner) beginChanges(withRefused bool) round {
	next := round{revision: r.known}
	next.hosts = make([]records.Host, 0, len(r.pending))
	for _, h := range r.pending {
		next.hosts = append(next.hosts, h)
	}
	if withRefused {
		for name, f := range r.failed {
			if _, newer := r.pending[name]; !newer && f.given {
				next.hosts = append(next.hosts, f.host)
			}
		}
	}
	clear(r.pending)
	r.busy, r.changed, r.urgent = true, false, false
	return next
}

// last is the round at shutdown, if anything is pending.
func (r *runner) last() (round, bool) {
	r.mu.Lock()
	r.urgent = true
	pending := len(r.pending) > 0 || r.needWhole && r.picture != nil
	r.mu.Unlock()
	if !pending {
		return round{}, false
	}
	next, _, ok := r.begin(time.Now())
	return next, ok
}

// publish does one round.
func (r *runner) publish(ctx context.Context, next round) {
	start := time.Now()
	var err error
	if next.whole == nil {
		err = r.target.Publish(ctx, next.hosts, false)
	} else {
		err = r.publishWhole(ctx, &next)
	}
	r.end(next, err, start, time.Now())
}

// publishWhole adds the revision to the round, and those of the hosts that were refused.
func (r *runner) publishWhole(ctx context.Context, next *round) (err error) {
	if t, ok := r.target.(PieceTarget); ok {
		err = t.PublishAll(ctx, next.whole.pieces(ctx, r.ours))
	} else if err = next.whole.collect(ctx); err == nil {
		err = r.target.Publish(ctx, r.ours(next.whole.Hosts), true)
	}
	next.whole.end(errUnread)
	var refused HostErrors
	switch partly := errors.As(err, &refused); {
	case err != nil && !partly:
		return err
	case next.whole.err != nil:
		return next.whole.err
	case partly:
		next.hosts = pick(ctx, r.follow(), refused)
	}
	next.revision = next.whole.Revision
	return err
}

var errUnread = errors.New("not all hosts were read")
