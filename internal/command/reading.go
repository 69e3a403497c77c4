package command

import (
	"context"
	"sync"
	"time"
)

// How many commands that look at many hosts or at the history run at once, of all
// users' keys, and how long one waits for its place. Of one key it is one: it may
// cost a processor, and then others have the rest.
const (
	maxReaders     = 16
	readerPatience = 5 * time.Second
)

// reading are the places of such commands.
type reading struct {
	mu    sync.Mutex
	all   int
	by    map[string]int // by fingerprint
	freed chan struct{}  // closed and replaced when a place is given back
}

// begin waits for a place for the key, and returns what gives it back.
func (r *reading) begin(ctx context.Context, fingerprint string) (end func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, readerPatience)
	defer cancel()
	for {
		r.mu.Lock()
		if r.by == nil {
			r.by, r.freed = make(map[string]int), make(chan struct{})
		}
		if r.by[fingerprint] == 0 && r.all < maxReaders {
			r.all++
			r.by[fingerprint]++
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
	r.all--
	delete(r.by, fingerprint)
	close(r.freed)
	r.freed = make(chan struct{})
}
