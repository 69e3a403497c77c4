package records

import (
	"context"
	"slices"
)

// EachBatch is how many hosts Each holds at once: do may wait for a client that does not
// read.
const EachBatch = 100

// Each passes the states of names in s to do, in their order. It ends with ctx.
func Each(ctx context.Context, s Store, names []Name, do func(Host)) error {
	for some := range slices.Chunk(names, EachBatch) {
		hosts, err := s.Hosts(ctx, some)
		if err != nil {
			return err
		}
		for _, h := range hosts {
			do(h)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
