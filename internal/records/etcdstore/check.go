package etcdstore

import (
	"context"
	"errors"
)

// Check says why a gateway could not open the store, and which values there it
// would not understand. Nothing is changed or made: where there is no store
// yet, that is no fault.
func Check(ctx context.Context, o Options) error {
	s, err := prepare(o)
	if err != nil {
		return err
	}
	defer s.nodes.close()
	defer s.end()
	conn, err := s.firstNode(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := conn.with(ctx)
	defer cancel()
	there := false
	if s.meta, there, err = readMeta(ctx, conn, o.Prefix); err != nil || !there {
		return err
	}
	if err := s.loadHosts(ctx, conn); err != nil {
		return err
	}
	var faults []error
	for _, text := range s.Damaged() {
		faults = append(faults, errors.New(text))
	}
	return errors.Join(faults...)
}
