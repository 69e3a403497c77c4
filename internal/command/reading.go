package command

import (
	"context"
	"sync"
	"time"
)

// How many commands that read many hosts or the history run at once, for all user keys
// together, and how long one waits for its place. One key has one place: such a command
// may keep a processor busy, and the others need the rest.
const (
	maxReaders     = 16
	readerPatience = 5 * time.Second
)

// reading are the places of such commands.
type reading struct {
	mu    sync.Mutex
	taken map[string]bool // by fingerprint
	freed chan struct{}   // closed and replaced when a place is given back
}

// begin waits for a place for the key, and returns what gives it back.
func (r *reading) begin(ctx context.Context, fingerprint string) (end func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, readerPatience)
	defer cancel()
	for {
		r.mu.Lock()
		if r.taken == nil {
			r.taken, r.freed = make(map[string]bool), make(chan struct{})
		}
		if !r.taken[fingerprint] && len(r.taken) < maxReaders {
			r.taken[fingerprint] = true
			r.mu.Unlock()
			return func() { r.end(fingerprint) }, nil
		}
		freed := r.freed
		r.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, refusal(Abuse, "another list or history command of this key is still running; try again in a moment")
		}
	}
}

func (r *reading) end(fingerprint string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.taken, fingerprint)
	close(r.freed)
	r.freed = make(chan struct{})
}
