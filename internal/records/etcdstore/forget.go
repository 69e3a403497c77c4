package etcdstore

import (
	"context"
	"fmt"
	"slices"

	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// maxForgotten is how many hosts one Forget takes at most, and forgetOps how
// many of them in one transaction, within etcd's default limits.
const (
	maxForgotten = 4096
	forgetOps    = 100
)

// Mark implements records.Store.
func (s *Store) Mark(ctx context.Context) (string, error) {
	conn, err := s.node(ctx)
	if err != nil {
		return "", err
	}
	ctx, cancel := conn.with(ctx)
	defer cancel()
	r, err := conn.client.Get(ctx, s.o.Prefix+keyMark)
	if err != nil || len(r.Kvs) == 0 {
		return "", err
	}
	v, err := memory.Unseal([]byte(keyMark), r.Kvs[0].Value)
	if err != nil {
		return "", fmt.Errorf("%s: %w", keyMark, err)
	}
	return string(v), nil
}

// Forget implements records.Store. A host that somebody changes meanwhile stays,
// and the others of its transaction with it.
func (s *Store) Forget(ctx context.Context, reached uint64) error {
	names, forgotten := s.Forgettable(reached, maxForgotten)
	conn, err := s.node(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := conn.with(ctx)
	defer cancel()
	for some := range slices.Chunk(names, forgetOps) {
		if err := s.forget(ctx, conn, some, forgotten); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) forget(ctx context.Context, conn *connection, names []records.Name, forgotten uint64) error {
	hosts, err := s.Index.Hosts(ctx, names)
	if err != nil {
		return err
	}
	modified, err := s.modRevisions(ctx, conn, hosts)
	if err != nil {
		return err
	}
	ifs, thens := []clientv3.Cmp{}, []clientv3.Op{clientv3.OpPut(s.o.Prefix+keyForgot, sealedNumber(keyForgot, forgotten))}
	for i, name := range names {
		ifs = append(ifs, clientv3.Compare(clientv3.ModRevision(s.hostKey(name)), "=", modified[i]))
		thens = append(thens, clientv3.OpDelete(s.hostKey(name)))
	}
	r, err := conn.client.Txn(ctx).If(ifs...).Then(thens...).Commit()
	if err != nil || !r.Succeeded {
		return err
	}
	return s.awaitGone(ctx, names, hosts)
}

// awaitGone waits until the watch has taken all of the hosts out, or brought newer ones. It
// takes one after the other: another Forget would try again to remove those that are left.
func (s *Store) awaitGone(ctx context.Context, names []records.Name, were []records.Host) error {
	for {
		s.mu.Lock()
		moved := s.moved
		s.mu.Unlock()
		now, err := s.Index.Hosts(ctx, names)
		if err != nil {
			return err
		}
		left := 0
		for i, h := range now {
			if h.Revision > 0 && h.Revision == were[i].Revision {
				left++
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
