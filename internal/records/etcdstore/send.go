package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dnsgate/internal/pause"
	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// staged is a transaction as etcd is asked for it.
type staged struct {
	compare      []clientv3.Cmp
	thens, elses []clientv3.Op
	changed      []memory.Entry // as they will be, without a revision
	newest       uint64         // revision of the newest host, as it was read
	id           uint64         // of the log entry; 0: it has none
	entry        string         // the log entry's value
}

// send asks conn for a group of transactions.
func (s *Store) send(conn *connection, group []*commit) {
	defer s.release(group)
	ctx, cancel := conn.with(context.Background())
	defer cancel()
	ctx, end := context.WithTimeout(ctx, s.o.Timeout)
	defer end()
	var ready []*commit
	for _, c := range group {
		if s.stage(ctx, conn, c) {
			ready = append(ready, c)
		}
	}
	s.mu.Lock()
	ready = slices.DeleteFunc(ready, func(c *commit) bool { return c.finished })
	for _, c := range ready {
		c.sent = true
	}
	s.mu.Unlock()
	if len(ready) == 0 {
		return
	}
	answers, revision, err := request(ctx, conn, ready)
	if err != nil {
		s.failed(ctx, conn, ready, err)
		return
	}
	for i, c := range ready {
		s.answer(c, answers[i], revision)
	}
}

// answer is etcd's to one transaction.
type answer struct {
	applied   bool
	responses []*etcdserverpb.ResponseOp
}

// request sends one transaction as it is, and several as parts of one.
func request(ctx context.Context, conn *connection, group []*commit) (answers []answer, revision int64, err error) {
	if len(group) == 1 {
		t := group[0].staged
		r, err := conn.client.Txn(ctx).If(t.compare...).Then(t.thens...).Else(t.elses...).Commit()
		if err != nil {
			return nil, 0, err
		}
		return []answer{{r.Succeeded, r.Responses}}, r.Header.Revision, nil
	}
	var ops []clientv3.Op
	for _, c := range group {
		ops = append(ops, clientv3.OpTxn(c.staged.compare, c.staged.thens, c.staged.elses))
	}
	r, err := conn.client.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return nil, 0, err
	}
	for _, op := range r.Responses {
		part := op.GetResponseTxn()
		answers = append(answers, answer{part.Succeeded, part.Responses})
	}
	return answers, r.Header.Revision, nil
}

// failed ends a group that etcd certainly refused. Otherwise it is left to be
// sent again: the log entries tell then what was applied.
func (s *Store) failed(ctx context.Context, conn *connection, group []*commit, err error) {
	if ctx.Err() != nil || !refused(err) {
		pause.For(ctx, 20*time.Millisecond) // the same node may fail at once again
		return
	}
	if len(group) > 1 { // one of them may be to blame
		for _, c := range group {
			answers, revision, err := request(ctx, conn, []*commit{c})
			if err != nil {
				s.failed(ctx, conn, []*commit{c}, err)
				continue
			}
			s.answer(c, answers[0], revision)
		}
		return
	}
	s.o.Log.Error("etcd refused a change", "error", err)
	s.finish(group[0], 0, fmt.Errorf("%w; %w", err, records.ErrNotApplied))
}

// refused reports whether etcd said that it did not apply a request, and why.
func refused(err error) bool {
	code := status.Code(err)
	if known := (rpctypes.EtcdError{}); errors.As(err, &known) {
		code = known.Code()
	}
	switch code {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.ResourceExhausted, codes.FailedPrecondition, codes.NotFound:
		return true
	}
	return false
}

// answer ends c as etcd said.
func (s *Store) answer(c *commit, a answer, revision int64) {
	if a.applied {
		s.applied(c, uint64(revision)+s.meta.base)
		return
	}
	t := c.staged
	if t.id != 0 {
		if got := a.responses[len(c.txn.Hosts)].GetResponseRange(); got.Count > 0 {
			if string(got.Kvs[0].Value) == t.entry { // an earlier request was applied after all
				s.applied(c, uint64(got.Kvs[0].ModRevision)+s.meta.base)
			} else {
				c.staged = nil // another's entry has this id
			}
			return
		}
	}
	for i, h := range c.txn.Hosts {
		e := memory.Entry{Host: records.Host{Name: h.Name}}
		if got := a.responses[i].GetResponseRange(); got.Count > 0 {
			var err error
			if e, err = s.openHost(got.Kvs[0]); err != nil {
				s.noteDamage(string(got.Kvs[0].Key), err)
				s.finish(c, 0, fmt.Errorf("its value in etcd is not understood: %w; %w", err, records.ErrNotApplied))
				return
			}
		}
		if e.Revision != h.Revision {
			s.learn(e)
			s.finish(c, 0, &records.Conflict{Current: e.Host})
			return
		}
	}
	c.staged = nil // a host in a backup was written again, as it was
}

func (s *Store) applied(c *commit, revision uint64) {
	if len(c.staged.changed) == 0 {
		s.finish(c, c.staged.newest, nil)
		return
	}
	for _, e := range c.staged.changed {
		e.Revision = revision
		s.learn(e)
	}
	s.finish(c, revision, nil)
}

// stage makes a request of c, once. It reports whether there is something to
// ask for.
func (s *Store) stage(ctx context.Context, conn *connection, c *commit) bool {
	if c.ctx.Err() != nil { // its key may be gone by now, and nobody waits for it
		s.mu.Lock()
		sent := c.sent
		s.mu.Unlock()
		if !sent {
			s.finish(c, 0, fmt.Errorf("etcd did not answer in time; %w", records.ErrNotApplied))
		}
		return false
	}
	if c.staged != nil {
		return true
	}
	t := new(staged)
	was := make([]memory.Entry, len(c.txn.Hosts))
	for i, h := range c.txn.Hosts {
		was[i] = s.current(h.Name)
		if was[i].Revision != h.Revision {
			s.finish(c, 0, &records.Conflict{Current: was[i].Host})
			return false
		}
		t.newest = max(t.newest, h.Revision)
	}
	modified, err := s.modRevisions(ctx, conn, c.txn.Hosts)
	if err != nil {
		s.failed(ctx, conn, []*commit{c}, err)
		return false
	}
	for i, h := range c.txn.Hosts {
		key := s.hostKey(h.Name)
		t.compare = append(t.compare, clientv3.Compare(clientv3.ModRevision(key), "=", modified[i]))
		t.elses = append(t.elses, clientv3.OpGet(key))
	}
	s.stageChanges(t, &c.txn, was)
	if c.txn.Mark != "" {
		t.thens = append(t.thens, clientv3.OpPut(s.o.Prefix+keyMark, seal(keyMark, []byte(c.txn.Mark))))
	}
	c.staged = t
	return len(t.compare)+len(t.thens) > 0 || s.nothing(c)
}

// nothing ends a transaction without hosts.
func (s *Store) nothing(c *commit) bool {
	s.finish(c, s.Revision(), nil)
	return false
}

// stageChanges adds what a transaction writes.
func (s *Store) stageChanges(t *staged, txn *records.Txn, was []memory.Entry) {
	id := s.newID()
	var lines []byte
	for i, h := range txn.Hosts {
		if h.Equal(was[i].Host) {
			continue
		}
		by := txn.Of(i)
		e := memory.Entry{Host: h, Logged: was[i].Logged}
		e.Revision, e.Had = 0, was[i].Had.With(h.Records)
		if by.Session != 0 {
			e.Session = by.Session
		}
		if !slices.EqualFunc(was[i].Records, h.Records, sameValue) || was[i].TTL != h.TTL {
			lines = appendLine(lines, was[i].Logged, records.Change{
				Time: lineTime(by.Time), Name: h.Name, Old: was[i].Records, New: h.Records, TTL: h.TTL, Key: by.Key, Source: by.Source,
			})
			e.Logged = id
		}
		t.changed = append(t.changed, e)
		t.thens = append(t.thens, clientv3.OpPut(s.hostKey(h.Name), string(memory.SealHost(e))))
	}
	if lines == nil {
		return
	}
	t.id, t.entry = id, seal(logName(id), lines)
	t.compare = append(t.compare, absent(s.logKey(id)))
	t.thens = append(t.thens, clientv3.OpPut(s.logKey(id), t.entry))
	t.elses = append(t.elses, clientv3.OpGet(s.logKey(id)))
}

// sameValue compares without the lease: that it was refreshed is no history.
func sameValue(a, b records.Record) bool { return a.Addr == b.Addr && a.Text == b.Text }

// modRevisions are etcd's revisions of hosts as they were read. Those out of a
// backup have others than ours, which are read first.
func (s *Store) modRevisions(ctx context.Context, conn *connection, hosts []records.Host) ([]int64, error) {
	modified := make([]int64, len(hosts))
	for i, h := range hosts {
		switch {
		case h.Revision == 0:
		case h.Revision > s.meta.restored:
			modified[i] = int64(h.Revision - s.meta.base)
		default:
			r, err := conn.client.Get(ctx, s.hostKey(h.Name))
			if err != nil {
				return nil, err
			}
			modified[i] = -1 // never: it has changed since
			if len(r.Kvs) > 0 {
				if e, err := s.openHost(r.Kvs[0]); err == nil && e.Revision == h.Revision {
					modified[i] = r.Kvs[0].ModRevision
				}
			}
		}
	}
	return modified, nil
}
