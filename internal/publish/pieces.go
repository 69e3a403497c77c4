package publish

import (
	"context"
	"iter"

	"dnsgate/internal/records"
)

// Pieces are hosts, some at a time. Of a host that comes twice the later one counts.
// Nothing comes after an error.
type Pieces = iter.Seq2[[]records.Host, error]

// PieceTarget is a Target that takes all hosts of the store in pieces, so that they need
// not be in memory twice.
type PieceTarget interface {
	Target
	// PublishAll is Publish with whole set.
	PublishAll(ctx context.Context, hosts Pieces) error
}

// OnePiece are hosts that are in memory anyway.
func OnePiece(hosts []records.Host) Pieces {
	return func(yield func([]records.Host, error) bool) { yield(hosts, nil) }
}

// Join is all hosts of pieces, each once.
func Join(pieces Pieces) (hosts []records.Host, err error) {
	places := make(map[records.Name]int)
	for some, err := range pieces {
		if err != nil {
			return nil, err
		}
		for _, h := range some {
			at, again := places[h.Name]
			if again {
				hosts[at] = h
				continue
			}
			places[h.Name] = len(hosts)
			hosts = append(hosts, h)
		}
	}
	return hosts, nil
}
