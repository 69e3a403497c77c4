package boltstore

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// maxForgotten is how many hosts one Forget takes at most, so that changes
// behind it do not wait for long.
const maxForgotten = 4096

// Forget implements records.Store.
func (s *Store) Forget(ctx context.Context, reached uint64) error {
	_, err := s.await(ctx, &commit{ctx: ctx, done: make(chan struct{}), instead: func() (uint64, error) {
		return 0, s.forgetHosts(reached)
	}})
	return err
}

// forgetHosts takes hosts out of the file and of memory that have had no
// records since a revision that is not later than reached.
func (s *Store) forgetHosts(reached uint64) error {
	if err := s.usable(); err != nil {
		return err
	}
	names, forgotten := s.Forgettable(reached, maxForgotten)
	if len(names) == 0 {
		return nil
	}
	err := s.updateFile(func(tx *bbolt.Tx) error {
		hosts := tx.Bucket(bucketHosts)
		for _, name := range names {
			if err := hosts.Delete([]byte(name)); err != nil {
				return fmt.Errorf("%w: %w", errBeforeWrite, err)
			}
		}
		return errors.Join(putForgotten(tx, forgotten),
			putState(tx, state{revision: s.Revision(), hosts: uint64(s.Names() - len(names)), logged: s.logged.lines}))
	})
	if err != nil {
		return s.writeFailed(err)
	}
	s.Drop(names)
	return nil
}
