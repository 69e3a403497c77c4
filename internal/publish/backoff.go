package publish

import (
	"math/rand/v2"
	"time"
)

// The first and the longest wait between two tries.
const (
	firstDelay = time.Second
	maxDelay   = time.Minute
)

// backoff is the exponentially growing wait after failures. The zero value is
// ready: no failure yet.
type backoff struct {
	delay time.Duration
	until time.Time // zero: nothing to wait for
}

// fail notes a failure at now, and when to try again. The delays double; each
// is shortened by up to a quarter at random, so that many gateways do not come
// back to one name server together.
func (b *backoff) fail(now time.Time) {
	b.delay = min(max(2*b.delay, firstDelay), maxDelay)
	b.until = now.Add(b.delay - rand.N(b.delay/4))
}

// restart begins again with the shortest delay: something else failed now.
func (b *backoff) restart() { b.delay = 0 }

// now lets the next try come at once, the delays as they are.
func (b *backoff) now() { b.until = time.Time{} }

func (b *backoff) reset() { *b = backoff{} }

// waiting reports whether it is too early for another try.
func (b *backoff) waiting(now time.Time) bool { return now.Before(b.until) }
