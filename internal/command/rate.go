package command

import (
	"fmt"
	"sync"
	"time"

	"dnsgate/internal/records"
)

// Rates limits how often a key may update a name: a number of times a minute, with a
// burst of the same number. It is the generic cell rate algorithm: for each pair of key
// and name, one point in time before which the burst is not complete again. Refused
// updates do not count, so nobody locks himself out by trying. Safe for concurrent use.
type Rates struct {
	mu        sync.Mutex
	perMinute int
	kept      int                  // pairs that were left after the last sweep
	whole     map[string]time.Time // by fingerprint and name
	swept     time.Time
	now       func() time.Time
}

// NewRates allows perMinute updates of a name by a key; 0 is no limit.
func NewRates(perMinute int) *Rates {
	return &Rates{perMinute: perMinute, whole: make(map[string]time.Time), now: time.Now}
}

// Set changes the limit.
func (r *Rates) Set(perMinute int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.perMinute = perMinute
}

// take counts one update of each name, or of none. It returns how long to wait, and for
// which name.
func (r *Rates) take(fingerprint string, names []records.Name) (wait time.Duration, busiest records.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.perMinute == 0 {
		return 0, ""
	}
	now := r.now()
	step := time.Minute / time.Duration(r.perMinute)
	for _, name := range names {
		whole := r.whole[rateKey(fingerprint, name)]
		if w := whole.Add(step - time.Minute).Sub(now); w > wait {
			wait, busiest = w, name
		}
	}
	if wait > 0 {
		return wait, busiest
	}
	for _, name := range names {
		key := rateKey(fingerprint, name)
		whole := r.whole[key]
		if whole.Before(now) {
			whole = now
		}
		r.whole[key] = whole.Add(step)
	}
	r.sweep(now)
	return 0, ""
}

// giveBack undoes take, for an update that stored nothing.
func (r *Rates) giveBack(fingerprint string, names []records.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.perMinute == 0 {
		return
	}
	for _, name := range names {
		key := rateKey(fingerprint, name)
		whole, ok := r.whole[key]
		if !ok {
			continue
		}
		if whole = whole.Add(-time.Minute / time.Duration(r.perMinute)); whole.After(r.now()) {
			r.whole[key] = whole
		} else {
			delete(r.whole, key)
		}
	}
}

// sweep forgets the pairs whose burst is complete. It runs once a minute, and when
// there are twice as many pairs as after the last sweep.
func (r *Rates) sweep(now time.Time) {
	if now.Sub(r.swept) < time.Minute && len(r.whole) < 2*r.kept+10_000 {
		return
	}
	r.swept = now
	defer func() { r.kept = len(r.whole) }()
	for key, whole := range r.whole {
		if whole.Before(now) {
			delete(r.whole, key)
		}
	}
}

func rateKey(fingerprint string, name records.Name) string {
	return fingerprint + " " + string(name)
}

// seconds is a number of seconds in words.
func seconds(n int) string {
	if n == 1 {
		return "1 second"
	}
	return fmt.Sprintf("%d seconds", n)
}
