package boltstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	"go.etcd.io/bbolt"
)

// History implements records.Store. What has left the log, oldest first after a
// quarter of a million changes, is not found any more.
func (s *Store) History(ctx context.Context, of records.Selection, limit int) (changes []records.Change, err error) {
	defer trapDamage(&err)()
	err = s.db.View(func(tx *bbolt.Tx) (err error) {
		if !of.Listed() {
			changes, err = lastLines(ctx, tx, of, limit)
			return err
		}
		for _, name := range of.Names {
			lines, err := hostLines(tx, name, limit)
			if err != nil {
				return err
			}
			changes = append(changes, lines...)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	slices.SortFunc(changes, func(a, b records.Change) int {
		return cmp.Or(cmp.Compare(b.Revision, a.Revision), cmp.Compare(b.Name, a.Name))
	})
	return changes[:min(limit, len(changes))], nil
}

// hostLines follows one host's lines backwards.
func hostLines(tx *bbolt.Tx, name records.Name, limit int) ([]records.Change, error) {
	sealed := tx.Bucket(bucketHosts).Get([]byte(name))
	if sealed == nil {
		return nil, nil
	}
	e, err := memory.OpenHost([]byte(name), sealed)
	if err != nil {
		return nil, err
	}
	var changes []records.Change
	prev := e.Logged
	for prev != 0 && len(changes) < limit {
		key := lineKey(prev, name)
		sealed := tx.Bucket(bucketLog).Get(key)
		if sealed == nil {
			break // it has left the log
		}
		l, err := openLine(key, sealed)
		if err != nil {
			return nil, err
		}
		changes, prev = append(changes, l.Change), l.prev
	}
	return changes, nil
}

// lastLines reads the log backwards.
func lastLines(ctx context.Context, tx *bbolt.Tx, of records.Selection, limit int) ([]records.Change, error) {
	var changes []records.Change
	cursor := tx.Bucket(bucketLog).Cursor()
	for k, v := cursor.Last(); k != nil && len(changes) < limit && ctx.Err() == nil; k, v = cursor.Prev() {
		if len(k) < 8 || !of.Has(records.Name(k[8:])) {
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
