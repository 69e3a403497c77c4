package command

import (
	"slices"
	"sync"
	"time"
)

// How many batches may run. The door may hold 2 MiB of input for each.
const (
	maxBatches    = 32 // in all
	maxKeyBatches = 4  // of one key
)

// leastIdle is how long a batch must have had nothing to do before another may
// have its place.
const leastIdle = time.Second

// batches are those that run. Where all places are taken, the longest idle
// batch of the key with the most goes, so that the batch of another key always
// gets through.
type batches struct {
	mu  sync.Mutex
	all []*batchPlace
}

// batchPlace is the place of one batch.
type batchPlace struct {
	key     string
	idle    time.Time     // since when it waits for its next line; zero: it does not
	evicted chan struct{} // closed when its place is another's
}

// begin takes a place for a batch of key.
func (b *batches) begin(key string, now time.Time) (*batchPlace, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	of := make(map[string]int)
	for _, p := range b.all {
		of[p.key]++
	}
	if of[key] >= maxKeyBatches {
		return nil, fault(Abuse, "this key has %d batches already; try again in a minute", maxKeyBatches)
	}
	if len(b.all) >= maxBatches && !b.evict(of, now) {
		return nil, fault(Abuse, "too many batches run, and all of them are busy; try again in a minute")
	}
	p := &batchPlace{key: key, idle: now, evicted: make(chan struct{})}
	b.all = append(b.all, p)
	return p, nil
}

// evict ends the longest idle batch of the key that has the most; of says how
// many each key has.
func (b *batches) evict(of map[string]int, now time.Time) bool {
	at := -1
	for i, p := range b.all {
		if p.idle.IsZero() || now.Sub(p.idle) < leastIdle {
			continue
		}
		if at < 0 || of[p.key] > of[b.all[at].key] || of[p.key] == of[b.all[at].key] && p.idle.Before(b.all[at].idle) {
			at = i
		}
	}
	if at < 0 {
		return false
	}
	close(b.all[at].evicted)
	b.all = slices.Delete(b.all, at, at+1)
	return true
}

func (b *batches) end(p *batchPlace) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = slices.DeleteFunc(b.all, func(other *batchPlace) bool { return other == p })
}

// waits notes that p waits for its next line since now; zero: not any more.
func (b *batches) waits(p *batchPlace, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.idle = now
}
