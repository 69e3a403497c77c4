package command

import (
	"context"
	"sync"
	"time"
)

// lastWords is how long commands that a drain ends may take for their last reply.
const lastWords = 500 * time.Millisecond

// drain is the end of a gateway, for all of its doors. The zero value has not
// begun.
type drain struct {
	mu      sync.Mutex
	begun   bool
	running map[*context.CancelFunc]struct{} // commands that began before the drain
	ended   sync.WaitGroup                   // for all of these

	making sync.Once
	begins chan struct{} // see stopping
}

// stopping is closed when the drain begins. Later commands are answered 911. The
// commands that run go on; those that last as long as their client does end themselves.
func (d *drain) stopping() chan struct{} {
	d.making.Do(func() { d.begins = make(chan struct{}) })
	return d.begins
}

// refusal is an error once the drain has begun.
func (d *drain) refusal() error {
	select {
	case <-d.stopping():
		return refusal(Outage, "the gateway is stopping; try again in a minute")
	default:
		return nil
	}
}

// Begin counts a command that a door has taken, and returns the context to run it with.
// The door calls end once the client has its exit status; a drain waits for that. ctx
// is the connection's. A command outlives its connection, because its work is done even
// if the client has gone, but it does not outlive the drain.
func (in *Interpreter) Begin(ctx context.Context) (running context.Context, end func()) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d := &in.drain
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.begun {
		return running, cancel // it is only notified
	}
	if d.running == nil {
		d.running = make(map[*context.CancelFunc]struct{})
	}
	d.running[&cancel] = struct{}{}
	d.ended.Add(1)
	return running, func() {
		cancel()
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.running, &cancel)
		d.ended.Done()
	}
}

// begin begins the drain, unless it has begun.
func (d *drain) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.begun {
		d.begun = true
		close(d.stopping())
	}
}

// cancel ends the contexts of the commands that still run.
func (d *drain) cancel() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for cancel := range d.running {
		(*cancel)()
	}
}

// Drain lets the running commands finish until ctx ends, then ends them and leaves them
// a moment for a last reply. Each door calls it once it accepts nobody any more. Then
// the door closes its connections and calls Wait.
func (in *Interpreter) Drain(ctx context.Context) {
	in.drain.begin()
	finished := make(chan struct{})
	go func() {
		in.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		return
	case <-ctx.Done():
	}
	in.Log.Warn("commands are still running; ending them")
	in.drain.cancel()
	select {
	case <-finished:
	case <-time.After(lastWords):
	}
}

// Wait returns when the commands that Drain found running have ended.
func (in *Interpreter) Wait() { in.drain.ended.Wait() }
