package authkeys

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"dnsgate/internal/durable"
)

// recently is how long a removed key is told from one that never was there.
const recently = 10 * time.Second

var (
	// ErrChanging is wrapped by Lookup's error for a key that was in the file a moment
	// ago, while the file is still being written.
	ErrChanging = errors.New("authorized_keys is being written, and does not have this key at the moment; try again in a second")

	// ErrGone is wrapped by Lookup's error for a key that was in the file a
	// moment ago. It wraps ErrUnknown.
	ErrGone = fmt.Errorf("%w", ErrUnknown)
)

// gone remembers keys that have just been removed from the file.
type gone struct {
	mu     sync.Mutex
	at     map[string]time.Time // by fingerprint
	asked  durable.Stamp        // the file when somebody last declared it complete
	writes bool                 // the file is being written
}

// whole notes that somebody asked for the file to be read in its present state.
func (g *gone) whole(stamp durable.Stamp) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked, g.writes = stamp, false
}

// seen notes a file that changes.
func (g *gone) seen(stamp durable.Stamp) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes = stamp != g.asked
}

// still notes that the file has stopped changing.
func (g *gone) still() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes = false
}

// replace notes the keys that before has and after has not.
func (g *gone) replace(before, after *Set, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for fingerprint, at := range g.at {
		if now.Sub(at) > recently {
			delete(g.at, fingerprint)
		}
	}
	for fingerprint := range before.index {
		if _, stays := after.index[fingerprint]; !stays {
			if g.at == nil {
				g.at = make(map[string]time.Time)
			}
			g.at[fingerprint] = now
		}
	}
}

// explain is the error for a key that the file does not have.
func (g *gone) explain(fingerprint string, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, was := g.at[fingerprint]
	switch {
	case !was || now.Sub(at) > recently:
		return ErrUnknown
	case g.writes:
		return ErrChanging
	}
	return ErrGone
}
