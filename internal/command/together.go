package command

import (
	"context"
	"sync"
	"time"
)

// patience is how long a change waits for others at most.
const patience = 4 * time.Millisecond

// together holds changes back for a moment while more are on their way, so
// that one transaction on the disk and one publication serve them all. A
// change that comes alone does not wait.
type together struct {
	mu      sync.Mutex
	waiting int           // changes held back
	onward  int           // changes let go that have not ended
	release chan struct{} // closed when those that wait are let go
}

// join returns when a change is to go on; leave is to be called when it has
// ended. coming says how many changes there may soon be, those that wait or
// were let go included.
func (t *together) join(ctx context.Context, coming func() int) (leave func()) {
	t.mu.Lock()
	if t.waiting == 0 {
		t.release = make(chan struct{})
	}
	t.waiting++
	release, all := t.release, t.waiting+t.onward
	switch {
	case all == 1 || coming() <= all:
		t.letGo()
	case t.waiting == 1:
		time.AfterFunc(patience, func() { t.expire(release) })
	}
	t.mu.Unlock()
	select {
	case <-release:
	case <-ctx.Done():
	}
	return t.leave
}

func (t *together) letGo() {
	t.onward += t.waiting
	t.waiting = 0
	close(t.release)
}

// expire lets those go that wait for release, unless they have gone.
func (t *together) expire(release chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting > 0 && t.release == release {
		t.letGo()
	}
}

func (t *together) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onward--
}
