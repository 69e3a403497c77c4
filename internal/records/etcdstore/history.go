package etcdstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"dnsgate/internal/records"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// History implements records.Store. It goes as far back as the keeper leaves
// the log: a quarter of a million changes.
func (s *Store) History(ctx context.Context, of records.Selection, limit int) (changes []records.Change, err error) {
	conn, err := s.node(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := conn.with(ctx)
	defer cancel()
	if of.Listed() {
		for _, name := range of.Names {
			lines, err := s.hostLines(ctx, conn, name, limit)
			if err != nil {
				return nil, fmt.Errorf("reading the log: %w", err)
			}
			changes = append(changes, lines...)
		}
	} else if changes, err = s.lastLines(ctx, conn, of, limit); err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	newestFirst(changes)
	return changes[:min(limit, len(changes))], nil
}

func newestFirst(changes []records.Change) {
	slices.SortFunc(changes, func(a, b records.Change) int {
		return cmp.Or(cmp.Compare(b.Revision, a.Revision), cmp.Compare(b.Name, a.Name))
	})
}

// hostLines follows one host's lines backwards, as its entries name each other.
func (s *Store) hostLines(ctx context.Context, conn *connection, name records.Name, limit int) (changes []records.Change, err error) {
	id, before := s.current(name).Logged, uint64(1<<63)
	for id != 0 && len(changes) < limit {
		r, err := conn.client.Get(ctx, s.logKey(id))
		if err != nil {
			return nil, err
		}
		if len(r.Kvs) == 0 {
			break // it has left the log
		}
		_, lines, err := s.openEntry(r.Kvs[0])
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(lines, func(l line) bool { return l.Name == name })
		if i < 0 || lines[i].Revision >= before {
			return nil, fmt.Errorf("%s: not an entry of %s before revision %d", logName(id), name, before)
		}
		changes = append(changes, lines[i].Change)
		id, before = lines[i].prev, lines[i].Revision
	}
	return changes, nil
}

// lastLines reads the log backwards, in pieces that are twice as long, in time,
// each time: a limit would cost etcd as much as all of the log.
func (s *Store) lastLines(ctx context.Context, conn *connection, of records.Selection, limit int) (changes []records.Change, err error) {
	has := of.Matcher()
	oldest, err := s.oldestEntry(ctx, conn)
	if err != nil || oldest == 0 {
		return nil, err
	}
	now, high := s.o.now(), clientv3.GetPrefixRangeEnd(s.o.Prefix+keyLog)
	for back := 10 * time.Second; len(changes) < limit; back *= 2 {
		low := uint64(max(0, now.Add(-back).UnixMicro())) << 12
		low = max(low, oldest)
		r, err := conn.client.Get(ctx, s.logKey(low), clientv3.WithRange(high))
		if err != nil {
			return nil, err
		}
		for _, kv := range r.Kvs {
			s.addLines(&changes, kv, has)
		}
		if low == oldest {
			break
		}
		high = s.logKey(low)
	}
	return changes, nil
}

// addLines adds what is selected of an entry. One that is not understood is
// named, and hides no others.
func (s *Store) addLines(changes *[]records.Change, kv *mvccpb.KeyValue, has func(records.Name) bool) {
	_, lines, err := s.openEntry(kv)
	if err != nil {
		s.noteDamage(string(kv.Key), err)
	}
	for _, l := range lines {
		if has(l.Name) {
			*changes = append(*changes, l.Change)
		}
	}
}

// oldestEntry is the id of the first entry of the log, or 0.
func (s *Store) oldestEntry(ctx context.Context, conn *connection) (uint64, error) {
	r, err := conn.client.Get(ctx, s.o.Prefix+keyLog, clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())
	if err != nil || len(r.Kvs) == 0 {
		return 0, err
	}
	var id uint64
	if _, err := fmt.Sscanf(string(r.Kvs[0].Key[len(s.o.Prefix):]), keyLog+"%016x", &id); err != nil {
		return 1, nil // not dnsgate's; what follows is looked at
	}
	return max(id, 1), nil
}
