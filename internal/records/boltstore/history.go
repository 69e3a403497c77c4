package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"dnsgate/internal/records"

	"go.etcd.io/bbolt"
)

// History implements Store. What has left the log, oldest first after a
// quarter of a million changes, is not found any more.
func (s *Store) History(name records.Name, match func(records.Name) bool, limit int) (changes []records.Change, err error) {
	defer trapDamage(&err)()
	err = s.db.View(func(tx *bbolt.Tx) (err error) {
		if name == "" {
			changes, err = lastLines(tx, match, limit)
			return err
		}
		changes, err = hostLines(tx, name, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	return changes, nil
}

// hostLines follows one host's lines backwards.
func hostLines(tx *bbolt.Tx, name records.Name, limit int) ([]records.Change, error) {
	sealed := tx.Bucket(bucketHosts).Get([]byte(name))
	if sealed == nil {
		return nil, nil
	}
	st, err := openHost([]byte(name), sealed)
	if err != nil {
		return nil, err
	}
	var changes []records.Change
	prev := st.logged
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
func lastLines(tx *bbolt.Tx, match func(records.Name) bool, limit int) ([]records.Change, error) {
	var changes []records.Change
	cursor := tx.Bucket(bucketLog).Cursor()
	for k, v := cursor.Last(); k != nil && len(changes) < limit; k, v = cursor.Prev() {
		if len(k) < 8 || !match(records.Name(k[8:])) {
			continue
		}
		l, err := openLine(k, v)
		if err != nil {
			return nil, err
		}
		changes = append(changes, l.Change)
	}
	return changes, nil
}

func openLine(key, sealed []byte) (l line, err error) {
	value, err := unseal(key, sealed)
	if err != nil {
		return l, err
	}
	if len(value) < 8 {
		return l, errTruncated
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
