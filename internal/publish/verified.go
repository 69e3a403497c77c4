package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dnsgate/internal/records"
)

// Verifier asks a name server for the published records, before a command is answered.
type Verifier interface {
	// Check returns once the name server serves all of names as they are
	// stored, or HostErrors, a *NotServedError for each name that it does not.
	Check(ctx context.Context, names []records.Name) error
}

// NotServedError says that a name server does not serve a host as it is stored.
type NotServedError struct {
	Host records.Host
	Err  error
}

func (e *NotServedError) Error() string { return e.Err.Error() }

// ForClient is what the holder of a key is told.
func (e *NotServedError) ForClient() string {
	return fmt.Sprintf("the name server does not serve %s so yet", e.Host.Name)
}

// Verify makes Wait ask a name server what it serves, once target has published. It is
// called before Run.
func (s *Set) Verify(target Target, v Verifier) {
	for _, r := range s.runners {
		if r.target == target {
			r.verifier = v
		}
	}
}

// verify asks whether names are served as stored. A name that is not counts as a host
// that the target could not publish, and is published again.
func (r *runner) verify(ctx context.Context, names []records.Name) error {
	if r.verifier == nil {
		return nil
	}
	var served []records.Name
	for _, name := range names {
		if why, err := r.lacks(ctx, name); err == nil && why == "" {
			served = append(served, name)
		}
	}
	err := r.verifier.Check(ctx, served)
	var notServed HostErrors
	if errors.As(err, &notServed) {
		r.doubt(notServed)
	}
	return err
}

// doubt makes hosts that are not served be published again.
func (r *runner) doubt(notServed HostErrors) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for name, err := range notServed {
		var n *NotServedError
		if !errors.As(err, &n) {
			continue
		}
		if _, newer := r.pending[name]; newer || r.failed[name].err != nil {
			continue
		}
		r.failed[name] = refusal{n.Host, true, err}
		r.lastErr, r.lastTime = notServed, now
		r.bad++
	}
	r.scheduleRefused(true, now)
	r.rouse()
	r.log.Error("not served", "err", notServed, "next_try", r.nextTry())
}
