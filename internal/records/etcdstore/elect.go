package etcdstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"dnsgate/internal/pause"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A role belongs to one of the gateways that live. Its key goes with the lease
// of the gateway that has it, termLength after the last sign of life.
const (
	termLength = 5 * time.Second
	renewEvery = time.Second
)

// lease is what this gateway's own keys in etcd live by. It belongs to beSeen.
type lease struct {
	id    clientv3.LeaseID // 0: none
	until time.Time        // when etcd may let it end, by this machine's steady clock
}

// renew makes the lease last for a whole term from now.
func (l *lease) renew(ctx context.Context, c *connection) error {
	began := time.Now()
	if l.id != 0 {
		_, err := c.client.KeepAliveOnce(ctx, l.id)
		if !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			if err == nil {
				l.until = began.Add(termLength)
			}
			return err
		}
		l.id = 0
	}
	granted, err := c.client.Grant(ctx, int64(termLength/time.Second))
	if err == nil {
		l.id, l.until = granted.ID, began.Add(termLength)
	}
	return err
}

// Role is something that one gateway does for all, as long as its term lasts.
type Role struct {
	name   string
	stands int // calls of Stand; Store.mu guards it

	mu     sync.Mutex
	holder string        // the gateway that has it, as etcd said last
	until  time.Time     // the end of this gateway's term; zero: it has none
	number uint64        // of this gateway's term, from 1
	moved  chan struct{} // closed and replaced when it begins
}

// Stand makes this gateway a candidate for a role, until resign was called as
// often, or the store closes.
func (s *Store) Stand(name string) *Role {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.roles {
		if r.name == name {
			r.stands++
			return r
		}
	}
	r := &Role{name: name, stands: 1, moved: make(chan struct{})}
	s.roles = append(s.roles, r)
	return r
}

// resign takes back one Stand. The last one leaves the role to others.
func (s *Store) resign(r *Role) {
	s.mu.Lock()
	r.stands--
	left := r.stands == 0
	if left {
		s.roles = slices.DeleteFunc(s.roles, func(o *Role) bool { return o == r })
	}
	s.mu.Unlock()
	conn, _ := s.nodes.get()
	if !left || conn == nil {
		return
	}
	ctx, cancel := conn.with(s.ctx)
	defer cancel()
	ctx, end := context.WithTimeout(ctx, s.o.Timeout)
	defer end()
	r.set("", time.Time{})
	key := s.o.Prefix + keyRole + r.name
	_, err := conn.client.Txn(ctx).If(clientv3.Compare(clientv3.Value(key), "=", s.o.Name)).Then(clientv3.OpDelete(key)).Commit()
	if err != nil && s.ctx.Err() == nil {
		s.o.Log.Warn("giving up a role failed", "role", r.name, "error", err)
	}
}

// Until is when this gateway's term ends, if nothing renews it.
func (r *Role) Until() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.until
}

// Lasts is an error if this gateway's term may end in less than d.
func (r *Role) Lasts(d time.Duration) error {
	if time.Until(r.Until()) < d {
		return errors.New("this gateway's term as the one that sends is about to end")
	}
	return nil
}

// Holder is the gateway that has the role, "" if none is known.
func (r *Role) Holder() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.holder
}

// Run runs f in each term of this gateway; f's context ends with the term. It
// returns when ctx ends.
func (r *Role) Run(ctx context.Context, f func(ctx context.Context)) {
	for ctx.Err() == nil {
		r.mu.Lock()
		until, moved := r.until, r.moved
		r.mu.Unlock()
		if !time.Now().Before(until) {
			select {
			case <-moved:
			case <-ctx.Done():
			}
			continue
		}
		term, end := context.WithCancel(ctx)
		var ran sync.WaitGroup
		ran.Go(func() { f(term) })
		r.awaitEnd(term)
		end()
		ran.Wait()
	}
}

// awaitEnd waits until the term has ended, however often it was renewed.
func (r *Role) awaitEnd(ctx context.Context) {
	for ctx.Err() == nil {
		left := time.Until(r.Until())
		if left <= 0 {
			return
		}
		pause.For(ctx, left)
	}
}

// set notes who has the role, and until when it is this gateway.
func (r *Role) set(holder string, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	begins := until.After(r.until) && !time.Now().Before(r.until)
	r.holder, r.until = holder, until
	if begins {
		r.number++
		close(r.moved)
		r.moved = make(chan struct{})
	}
}

// campaign takes the role if nobody has it.
func (s *Store) campaign(ctx context.Context, c *connection, r *Role) error {
	key := s.o.Prefix + keyRole + r.name
	got, err := c.client.Txn(ctx).If(absent(key)).
		Then(clientv3.OpPut(key, s.o.Name, clientv3.WithLease(s.lease.id))).
		Else(clientv3.OpGet(key)).Commit()
	if err != nil {
		return err
	}
	if got.Succeeded {
		r.set(s.o.Name, s.lease.until)
		return nil
	}
	kv := got.Responses[0].GetResponseRange().Kvs[0]
	if kv.Lease == int64(s.lease.id) {
		r.set(s.o.Name, s.lease.until)
	} else {
		r.set(string(kv.Value), time.Time{})
	}
	return nil
}
