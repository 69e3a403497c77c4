package records

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// History implements Store. What has left the log, oldest first after a
// quarter of a million changes, is not found any more.
func (s *Bolt) History(name Name, match func(Name) bool, limit int) (changes []Change, err error) {
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
func hostLines(tx *bbolt.Tx, name Name, limit int) ([]Change, error) {
	sealed := tx.Bucket(bucketHosts).Get([]byte(name))
	if sealed == nil {
		return nil, nil
	}
	st, err := openHost([]byte(name), sealed)
	if err != nil {
		return nil, err
	}
	var changes []Change
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
func lastLines(tx *bbolt.Tx, match func(Name) bool, limit int) ([]Change, error) {
	var changes []Change
	cursor := tx.Bucket(bucketLog).Cursor()
	for k, v := cursor.Last(); k != nil && len(changes) < limit; k, v = cursor.Prev() {
		if len(k) < 8 || !match(Name(k[8:])) {
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
	if l.Change, err = ParseChange(string(value[8:])); err != nil {
		return l, err
	}
	if l.prev >= l.Revision {
		return l, errors.New("the line before it is not older")
	}
	return l, nil
}
