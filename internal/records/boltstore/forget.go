package boltstore

import (
	"context"
	"fmt"

	"dnsgate/internal/records"

	"go.etcd.io/bbolt"
)

// maxForgotten is how many hosts one Forget takes at most, so that changes
// behind it do not wait for long.
const maxForgotten = 4096

// Forget implements Store.
func (s *Store) Forget(ctx context.Context, reached uint64) error {
	_, err := s.await(ctx, &commit{ctx: ctx, forget: reached, done: make(chan struct{})})
	return err
}

// forgetHosts takes hosts out of the file and of memory that have had no
// records since a revision that is not later than reached.
func (s *Store) forgetHosts(reached uint64) error {
	if err := s.usable(); err != nil {
		return err
	}
	names := s.forgettable(reached)
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
		s.mu.RLock()
		defer s.mu.RUnlock()
		return putState(tx, state{revision: s.revision, hosts: uint64(len(s.hosts) - len(names)), logged: s.logged.lines})
	})
	if err != nil {
		return s.writeFailed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		delete(s.hosts, name)
		delete(s.bare, name)
	}
	return nil
}

func (s *Store) forgettable(reached uint64) (names []records.Name) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for name, revision := range s.bare {
		if revision <= reached {
			names = append(names, name)
		}
		if len(names) == maxForgotten {
			break
		}
	}
	return names
}

// count keeps what is asked of all hosts up to date: h takes the place of was.
func (s *Store) count(was, h records.Host) {
	if len(was.Records) > 0 {
		s.live--
		if s.made[was.MadeBy]--; s.made[was.MadeBy] == 0 {
			delete(s.made, was.MadeBy)
		}
	}
	if len(h.Records) > 0 {
		s.live++
		s.made[h.MadeBy]++
		delete(s.bare, h.Name)
	} else {
		s.bare[h.Name] = h.Revision
	}
}

// Made implements Store.
func (s *Store) Made(maker uint64) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.made[maker]
}
