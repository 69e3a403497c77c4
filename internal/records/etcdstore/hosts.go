package etcdstore

import (
	"context"
	"errors"

	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"
)

// Hosts implements records.Store: what the watch told, or what an answer to a
// transaction told before it.
func (s *Store) Hosts(ctx context.Context, names []records.Name) ([]records.Host, error) {
	s.mu.Lock() // apply moves hosts out of ahead and into memory at one moment
	defer s.mu.Unlock()
	hosts, err := s.Index.Hosts(ctx, names)
	if err != nil || len(s.ahead) == 0 {
		return hosts, err
	}
	for i, name := range names {
		if e, ok := s.ahead[name]; ok && e.Revision > hosts[i].Revision {
			hosts[i] = e.Host
		}
	}
	return hosts, nil
}

// current is the newest that is known of a host.
func (s *Store) current(name records.Name) memory.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest(name)
}

func (s *Store) newest(name records.Name) memory.Entry {
	e := s.Entry(name)
	if a, ok := s.ahead[name]; ok && a.Revision > e.Revision {
		return a
	}
	return e
}

// learn notes what an answer said of a host, until the watch says it too.
func (s *Store) learn(e memory.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Revision > s.newest(e.Name).Revision {
		s.ahead[e.Name] = e
	}
}

// awaitWatch waits until the watch has told a revision, so that followers have
// it too, or ctx ends. A watch that is so late may have been lost on the way: it
// begins again.
func (s *Store) awaitWatch(ctx context.Context, revision uint64) {
	for {
		s.mu.Lock()
		reached, moved, rewatch := s.reached, s.moved, s.rewatch
		s.mu.Unlock()
		if reached >= revision {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				rewatch()
			}
			return
		}
	}
}

// node returns the connection to use. Like a change, what is asked for waits for
// one no longer than patience.
func (s *Store) node(ctx context.Context) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.nodes.wait(ctx)
}
