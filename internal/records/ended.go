package records

import (
	"context"
	"time"
)

// WithoutEnded is s for a process that ends no leases: Hosts and Follow leave out each
// record whose lease ended more than grace ago by this machine's clock.
func WithoutEnded(s Store, grace time.Duration) Store { return unended{s, grace} }

type unended struct {
	Store
	grace time.Duration
}

// Hosts implements Store.
func (u unended) Hosts(ctx context.Context, names []Name) ([]Host, error) {
	hosts, err := u.Store.Hosts(ctx, names)
	for i := range hosts {
		hosts[i] = u.left(hosts[i], time.Now())
	}
	return hosts, err
}

// left is h without the records that have ended.
func (u unended) left(h Host, now time.Time) Host {
	end := now.Add(-u.grace).Unix()
	if first := firstExpiry(h.Records); first == 0 || first > end {
		return h
	}
	var kept []Record
	for _, r := range h.Records {
		if r.Expires == 0 || r.Expires > end {
			kept = append(kept, r)
		}
	}
	h.Records = kept
	return h
}

// Follow implements Store.
func (u unended) Follow(after uint64) Follower {
	return &unendedFollower{of: u, inner: u.Store.Follow(after)}
}

// unendedFollower also tells of hosts whose leases end while nothing changes.
type unendedFollower struct {
	of       unended
	inner    Follower
	leases   leases
	revision uint64
	partial  bool // pieces are to come
}

// Next implements Follower.
func (f *unendedFollower) Next(ctx context.Context) (Update, error) {
	for {
		waiting, cancel := context.WithTimeout(ctx, f.leases.wait(time.Now().Add(-f.of.grace)))
		u, err := f.inner.Next(waiting)
		late := waiting.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil {
			return f.pass(u), nil
		}
		if !late {
			return u, err
		}
		if u, err := f.ended(ctx); err != nil || len(u.Hosts) > 0 {
			return u, err
		}
	}
}

func (f *unendedFollower) pass(u Update) Update {
	now := time.Now()
	for i, h := range u.Hosts {
		u.Hosts[i] = f.of.left(h, now)
		f.leases.note(firstExpiry(u.Hosts[i].Records), h.Name)
	}
	f.revision, f.partial = u.Revision, u.Left > 0
	return u
}

// ended returns hosts whose leases have ended since.
func (f *unendedFollower) ended(ctx context.Context) (Update, error) {
	if f.partial {
		return Update{}, nil
	}
	names := f.leases.due(time.Now().Add(-f.of.grace).Unix(), 1000)
	hosts, err := f.of.Hosts(ctx, names)
	if err != nil {
		return Update{}, err
	}
	for _, h := range hosts {
		f.leases.note(firstExpiry(h.Records), h.Name)
	}
	return Update{Hosts: hosts, Revision: f.revision}, nil
}
