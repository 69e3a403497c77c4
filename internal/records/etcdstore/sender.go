package etcdstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"dnsgate/internal/pause"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Notes are short texts that the holder of a role leaves for the other
// gateways, and how often a holder did something after its term.
type Notes struct {
	*Role
	store *Store

	mu       sync.Mutex
	text     []byte
	overruns uint64
	news     chan struct{} // closed and replaced at each change
}

// Below the prefix stand n/ROLE, the holder's note, and o/ROLE, the overruns.
const (
	keyNote    = "n/"
	keyOverrun = "o/"
)

// maxNote is the length, in bytes, of the longest note.
const maxNote = 1 << 20

// Notes makes this gateway a candidate for a role, and follows its notes until
// ctx ends.
func (s *Store) Notes(ctx context.Context, role string) *Notes {
	n := &Notes{Role: s.Stand(role), store: s, news: make(chan struct{})}
	s.running.Go(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.ctx, cancel)()
		defer s.resign(n.Role)
		for ctx.Err() == nil {
			conn, err := s.nodes.wait(ctx)
			if err != nil {
				return
			}
			if err := n.follow(ctx, conn); err != nil && ctx.Err() == nil && conn.ctx.Err() == nil {
				s.o.Log.Warn("following the notes failed", "role", role, "error", err)
				pause.For(ctx, time.Second)
			}
		}
	})
	return n
}

// follow reads both keys, then what changes them.
func (n *Notes) follow(ctx context.Context, c *connection) error {
	ctx, cancel := c.with(ctx)
	defer cancel()
	note, overrun := n.key(keyNote), n.key(keyOverrun)
	now, err := c.client.Txn(ctx).Then(clientv3.OpGet(note), clientv3.OpGet(overrun)).Commit()
	if err != nil {
		return err
	}
	for _, r := range now.Responses {
		n.take(r.GetResponseRange().Kvs)
	}
	from := clientv3.WithRev(now.Header.Revision + 1)
	required := clientv3.WithRequireLeader(ctx)
	notes, overruns := c.client.Watch(required, note, from), c.client.Watch(required, overrun, from)
	for {
		var r clientv3.WatchResponse
		var open bool
		select {
		case r, open = <-notes:
		case r, open = <-overruns:
		}
		if err := r.Err(); err != nil || !open {
			return errors.Join(err, ctx.Err())
		}
		for _, ev := range r.Events {
			n.take([]*mvccpb.KeyValue{ev.Kv})
		}
	}
}

func (n *Notes) key(kind string) string { return n.store.o.Prefix + kind + n.name }

// take notes what stands in a key. What is not understood is as if it were not
// there.
func (n *Notes) take(kvs []*mvccpb.KeyValue) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, kv := range kvs {
		if strings.HasPrefix(string(kv.Key), n.store.o.Prefix+keyOverrun) {
			n.overruns, _ = strconv.ParseUint(string(kv.Value), 10, 64)
		} else if n.text = kv.Value; !json.Valid(n.text) {
			n.text = nil
		}
	}
	close(n.news)
	n.news = make(chan struct{})
}

// Last is the last note, how often a holder overran its term, and what closes
// when there is news.
func (n *Notes) Last() (text []byte, overruns uint64, news <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text, n.overruns, n.news
}

// Write leaves a note, if the role is still this gateway's.
func (n *Notes) Write(ctx context.Context, text []byte) error {
	if len(text) > maxNote {
		return fmt.Errorf("a note of %d bytes for the other gateways is too long", len(text))
	}
	conn, err := n.store.node(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := conn.with(ctx)
	defer cancel()
	mine := clientv3.Compare(clientv3.Value(n.key(keyRole)), "=", n.store.o.Name)
	r, err := conn.client.Txn(ctx).If(mine).Then(clientv3.OpPut(n.key(keyNote), string(text))).Commit()
	if err == nil && !r.Succeeded {
		err = errors.New("another gateway sends for all now")
	}
	return err
}

// Overran counts one more thing that was done after a term.
func (n *Notes) Overran(ctx context.Context) error {
	for {
		conn, err := n.store.node(ctx)
		if err != nil {
			return err
		}
		got, err := conn.client.Get(ctx, n.key(keyOverrun))
		if err != nil {
			return err
		}
		count, revision := uint64(0), int64(0)
		if len(got.Kvs) > 0 {
			count, _ = strconv.ParseUint(string(got.Kvs[0].Value), 10, 64)
			revision = got.Kvs[0].ModRevision
		}
		r, err := conn.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(n.key(keyOverrun)), "=", revision)).
			Then(clientv3.OpPut(n.key(keyOverrun), strconv.FormatUint(count+1, 10))).Commit()
		if err != nil || r.Succeeded {
			return err
		}
	}
}

// Term returns the number of this gateway's term, and a context that ends with
// it.
func (r *Role) Term(ctx context.Context) (term context.Context, end context.CancelFunc, number uint64, ok bool) {
	r.mu.Lock()
	until, number := r.until, r.number
	r.mu.Unlock()
	if !time.Now().Before(until) {
		return nil, nil, 0, false
	}
	term, end = context.WithCancel(ctx)
	go func() {
		r.awaitEnd(term)
		end()
	}()
	return term, end, number, true
}
