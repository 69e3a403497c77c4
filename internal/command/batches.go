package command

import (
	"slices"
	"sync"
	"time"
)

// How many batches may run. A door may hold 2 MiB of input for each.
const (
	maxBatches    = 32 // in all
	maxKeyBatches = 4  // of one key
	maxEvicted    = 16 // that have lost their place and still answer lines that they began
)

// leastIdle is how long a batch must have had nothing to do before it is the first to
// lose its place.
const leastIdle = time.Second

// batches are the batches that run. When all places are taken, a batch of the key with
// the most loses its place. So a batch of another key always gets through, whatever the
// others do.
type batches struct {
	mu      sync.Mutex
	running []*batchPlace // oldest first
	leaving int           // evicted, and not ended yet
}

// batchPlace is the place of one batch.
type batchPlace struct {
	key     string
	idle    time.Time     // since when it waits for its next line; zero: it has work
	evicted chan struct{} // closed when it loses its place
	gone    bool          // and that is so
}

var errEvicted = refusal(Abuse, "another key needs the place, so the batch ends")

// begin takes a place for a batch of key.
func (b *batches) begin(key string, now time.Time) (*batchPlace, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	of := make(map[string]int)
	for _, p := range b.running {
		of[p.key]++
	}
	if of[key] >= maxKeyBatches {
		return nil, refusal(Abuse, "this key has %d batches already; try again in a minute", maxKeyBatches)
	}
	if len(b.running) >= maxBatches && !b.evict(of, of[key], now) {
		return nil, refusal(Abuse, "too many batches run already; try again in a minute")
	}
	p := &batchPlace{key: key, idle: now, evicted: make(chan struct{})}
	b.running = append(b.running, p)
	return p, nil
}

// evict ends a batch of a key that has the most batches, and more than key has: the one
// idle for the longest, or else the oldest. of counts the batches of each key.
func (b *batches) evict(of map[string]int, has int, now time.Time) bool {
	most := 0
	for _, n := range of {
		most = max(most, n)
	}
	if most <= has || b.leaving >= maxEvicted {
		return false
	}
	at := -1
	for i, p := range b.running {
		switch {
		case of[p.key] < most:
		case at < 0, p.idleFor(now) > b.running[at].idleFor(now):
			at = i
		}
	}
	p := b.running[at]
	p.gone = true
	close(p.evicted)
	b.running = slices.Delete(b.running, at, at+1)
	b.leaving++
	return true
}

// idleFor is how long the batch has had nothing to do. Less than leastIdle counts as 0.
func (p *batchPlace) idleFor(now time.Time) time.Duration {
	if p.idle.IsZero() || now.Sub(p.idle) < leastIdle {
		return 0
	}
	return now.Sub(p.idle)
}

func (b *batches) end(p *batchPlace) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.gone {
		b.leaving--
		return
	}
	b.running = slices.DeleteFunc(b.running, func(other *batchPlace) bool { return other == p })
}

// waits notes that p waits for its next line since now; zero: it waits no more.
func (b *batches) waits(p *batchPlace, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.idle = now
}
