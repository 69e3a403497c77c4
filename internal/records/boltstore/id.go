package boltstore

import (
	"context"
	"crypto/rand"
	"fmt"

	"go.etcd.io/bbolt"
)

// ID is the name of the store, which no other store has: a store made from its backup
// gets another. It is made when it is first asked for.
func (s *Store) ID(context.Context) (id string, err error) {
	err = s.updateFile(func(tx *bbolt.Tx) error {
		v, err := getMeta(tx, keyID)
		if err != nil || len(v) > 0 {
			id = string(v)
			return err
		}
		id = rand.Text()
		return putMeta(tx, keyID, []byte(id))
	})
	if err != nil {
		return "", fmt.Errorf("%s: naming the store: %w", s.path, err)
	}
	return id, nil
}
