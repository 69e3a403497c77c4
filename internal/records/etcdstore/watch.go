package etcdstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"dnsgate/internal/pause"
	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// loadHosts fills memory from etcd at the start, and says where the watch goes
// on.
func (s *Store) loadHosts(ctx context.Context, c *connection) error {
	var newest uint64
	read, err := scan(ctx, c, s.o.Prefix+keyHost, 0, func(kv *mvccpb.KeyValue) error {
		e, err := s.openHost(kv)
		if err != nil {
			s.noteDamage(string(kv.Key), err)
			return nil
		}
		s.Load(e)
		newest = max(newest, e.Revision)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the hosts: %w", err)
	}
	if err := s.checkHighWater(uint64(read) + s.meta.base); err != nil {
		return err
	}
	forgotten, err := s.readForgotten(ctx, c)
	if err != nil {
		return err
	}
	s.reached = max(newest, forgotten, s.meta.restored)
	s.Begin(s.reached, forgotten)
	s.watching = uint64(read) + 1
	return nil
}

func (s *Store) readForgotten(ctx context.Context, c *connection) (uint64, error) {
	r, err := c.client.Get(ctx, s.o.Prefix+keyForgot)
	if err != nil || len(r.Kvs) == 0 {
		return s.meta.restored, err // a backup does not tell of hosts that were forgotten before it
	}
	v, err := memory.Unseal([]byte(keyForgot), r.Kvs[0].Value)
	if err != nil || len(v) != 8 {
		s.noteDamage(keyForgot, fmt.Errorf("%d bytes: %v", len(v), err))
		return uint64(r.Header.Revision) + s.meta.base, nil // followers begin with the whole
	}
	return binary.BigEndian.Uint64(v), nil
}

// keepWatching brings memory up to etcd until the store closes, on whichever
// node is used.
func (s *Store) keepWatching() {
	for s.ctx.Err() == nil {
		conn, err := s.nodes.wait(s.ctx)
		if err != nil {
			return
		}
		if err := s.watch(conn); err != nil && s.ctx.Err() == nil && conn.ctx.Err() == nil {
			s.o.Log.Warn("watching etcd failed", "endpoint", conn.url, "error", err)
			pause.For(s.ctx, time.Second)
		}
	}
}

// watch goes on from s.watching: the revision after the last event, never that
// of a header, which may be ahead of events to come.
func (s *Store) watch(c *connection) error {
	ctx, cancel := c.with(s.ctx)
	defer cancel()
	s.mu.Lock()
	s.rewatch = cancel
	s.mu.Unlock()
	events := c.client.Watch(clientv3.WithRequireLeader(ctx), s.o.Prefix+keyHost, clientv3.WithPrefix(), clientv3.WithRev(int64(s.watching)))
	for r := range events {
		if r.CompactRevision > 0 { // etcd has forgotten what came between
			return s.loadAgain(ctx, c)
		}
		if err := r.Err(); err != nil {
			return err
		}
		s.take(r.Events)
	}
	return ctx.Err()
}

// take applies events, which are whole revisions.
func (s *Store) take(events []*clientv3.Event) {
	var changed []memory.Entry
	var revision uint64
	for _, ev := range events {
		s.watching = uint64(ev.Kv.ModRevision) + 1
		revision = uint64(ev.Kv.ModRevision) + s.meta.base
		if ev.Type == clientv3.EventTypeDelete {
			s.apply(changed)
			changed = nil
			s.forgotten(string(ev.Kv.Key), revision)
			continue
		}
		e, err := s.openHost(ev.Kv)
		if err != nil {
			s.noteDamage(string(ev.Kv.Key), err)
			continue
		}
		changed = append(changed, e)
	}
	s.apply(changed)
	s.mu.Lock()
	close(s.moved)
	s.moved = make(chan struct{})
	s.mu.Unlock()
}

// apply makes hosts visible.
func (s *Store) apply(changed []memory.Entry) {
	if len(changed) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range changed {
		s.reached = max(s.reached, e.Revision)
		if a, ok := s.ahead[e.Name]; ok && a.Revision <= e.Revision {
			delete(s.ahead, e.Name)
		}
		delete(s.damaged, s.hostKey(e.Name))
	}
	s.Apply(s.reached, changed)
}

// forgotten takes a host out whose key is gone. If it had records, somebody
// else than dnsgate removed it; they leave then.
func (s *Store) forgotten(key string, revision uint64) {
	name := records.Name(key[min(len(key), len(s.o.Prefix+keyHost)):])
	s.mu.Lock()
	delete(s.damaged, key)
	if a, ok := s.ahead[name]; ok && a.Revision < revision {
		delete(s.ahead, name)
	}
	s.mu.Unlock()
	e := s.Entry(name)
	if e.Revision == 0 {
		return
	}
	if len(e.Records) > 0 {
		s.o.Log.Warn("host was removed from etcd by somebody else", "host", name)
		e.Revision, e.Records = revision, nil
		s.apply([]memory.Entry{e})
	}
	s.Drop([]records.Name{name})
}

// loadAgain compares memory with all of etcd.
func (s *Store) loadAgain(ctx context.Context, c *connection) error {
	began := time.Now()
	there := make(map[records.Name]bool)
	var changed []memory.Entry
	read, err := scan(ctx, c, s.o.Prefix+keyHost, 0, func(kv *mvccpb.KeyValue) error {
		there[records.Name(kv.Key[len(s.o.Prefix+keyHost):])] = true
		if uint64(kv.ModRevision) < s.watching {
			return nil
		}
		e, err := s.openHost(kv)
		if err != nil {
			s.noteDamage(string(kv.Key), err)
			return nil
		}
		changed = append(changed, e)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the hosts again: %w", err)
	}
	names, err := s.Find(ctx, records.All)
	if err != nil {
		return err
	}
	s.apply(changed)
	for _, name := range names {
		if !there[name] {
			s.forgotten(s.hostKey(name), uint64(read)+s.meta.base)
		}
	}
	s.watching = uint64(read) + 1
	s.o.Log.Info("read all of etcd again, which has compacted what came between", "changed", len(changed), "duration", time.Since(began))
	return nil
}
