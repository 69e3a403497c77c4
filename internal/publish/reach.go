package publish

import (
	"context"
	"errors"
	"maps"
	"slices"

	"dnsgate/internal/records"
)

// Reach returns once every target has published everything up to revision, with the
// hosts that their name servers refused. It waits for a target that fails.
func (s *Set) Reach(ctx context.Context, revision uint64) (refused []records.Name, err error) {
	for _, r := range s.runners {
		names, err := r.reachRevision(ctx, revision)
		if err != nil {
			return nil, err
		}
		refused = append(refused, names...)
	}
	slices.Sort(refused)
	return slices.Compact(refused), nil
}

func (r *runner) reachRevision(ctx context.Context, revision uint64) (refused []records.Name, err error) {
	err = r.await(ctx, func() (bool, error) {
		if r.reached < revision {
			return false, nil
		}
		refused = slices.Collect(maps.Keys(r.failed))
		return true, nil
	})
	return refused, err
}

// Unserved returns those of names that no target's name server serves.
func (s *Set) Unserved(ctx context.Context, names []records.Name) []records.Name {
	var left []records.Name
	for _, err := range []error{s.covered(names), s.served(ctx, names)} {
		var unserved *UnservedError
		if errors.As(err, &unserved) {
			left = append(left, unserved.Names...)
		}
	}
	return left
}
