package boltstore

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	"go.etcd.io/bbolt"
)

// History implements records.Store. Changes that have left the log, oldest first after
// a quarter of a million, are not found any more.
func (s *Store) History(ctx context.Context, of records.Selection, limit int) (changes []records.Change, err error) {
	defer trapDamage(&err)()
	err = s.db.View(func(tx *bbolt.Tx) (err error) {
		if !of.Listed() {
			changes, err = lastLines(ctx, tx, of, limit)
			return err
		}
		changes, err = hostLines(ctx, tx, of.Names, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	slices.SortFunc(changes, func(a, b records.Change) int {
		return cmp.Or(cmp.Compare(b.Revision, a.Revision), cmp.Compare(b.Name, a.Name))
	})
	return changes, nil
}

// place is where a line of a host is in the log.
type place struct {
	revision uint64
	name     records.Name
}

// places is a heap of them, the latest first.
type places []place

func (p places) Len() int { return len(p) }
func (p places) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(p[j].revision, p[i].revision), cmp.Compare(p[j].name, p[i].name)) < 0
}
func (p places) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *places) Push(x any)   { *p = append(*p, x.(place)) }
func (p *places) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}

// hostLines follows the lines of hosts backwards, all together, so that it reads only
// as many as are wanted.
func hostLines(ctx context.Context, tx *bbolt.Tx, names []records.Name, limit int) (changes []records.Change, err error) {
	var left places
	for _, name := range names {
		sealed := tx.Bucket(bucketHosts).Get([]byte(name))
		if sealed == nil {
			continue
		}
		e, err := memory.OpenHost([]byte(name), sealed)
		if err != nil {
			return nil, err
		}
		if e.Logged != 0 {
			left = append(left, place{e.Logged, name})
		}
	}
	heap.Init(&left)
	for len(left) > 0 && len(changes) < limit && ctx.Err() == nil {
		at := heap.Pop(&left).(place)
		key := lineKey(at.revision, at.name)
		sealed := tx.Bucket(bucketLog).Get(key)
		if sealed == nil {
			continue // it has left the log
		}
		l, err := openLine(key, sealed)
		if err != nil {
			return nil, err
		}
		changes = append(changes, l.Change)
		if l.prev != 0 {
			heap.Push(&left, place{l.prev, at.name})
		}
	}
	return changes, ctx.Err()
}

// lastLines reads the log backwards.
func lastLines(ctx context.Context, tx *bbolt.Tx, of records.Selection, limit int) ([]records.Change, error) {
	var changes []records.Change
	has := of.Matcher()
	cursor := tx.Bucket(bucketLog).Cursor()
	for k, v := cursor.Last(); k != nil && len(changes) < limit && ctx.Err() == nil; k, v = cursor.Prev() {
		if len(k) < 8 || !has(records.Name(k[8:])) {
			continue
		}
		l, err := openLine(k, v)
		if err != nil {
			return nil, err
		}
		changes = append(changes, l.Change)
	}
	return changes, ctx.Err()
}

func openLine(key, sealed []byte) (l line, err error) {
	value, err := memory.Unseal(key, sealed)
	if err != nil {
		return l, err
	}
	if len(value) < 8 {
		return l, memory.ErrTruncated
	}
	l.prev = binary.BigEndian.Uint64(value)
	if l.Change, err = records.ParseChange(string(value[8:])); err != nil {
		return l, err
	}
	if l.prev >= l.Revision {
		return l, errors.New("the line before it is not older")
	}
	return l, nil
}
