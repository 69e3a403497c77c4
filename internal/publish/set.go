package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"dnsgate/internal/records"
)

// Source is what a target's goroutine follows; records.Follower is one.
type Source interface {
	// Next blocks until there is something new or ctx ends. What it returns
	// first is the whole picture, perhaps in pieces.
	Next(ctx context.Context) (records.Update, error)
}

// Error says which target could not publish, and why.
type Error struct {
	Target string
	Err    error
}

func (e *Error) Error() string { return e.Target + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Set is all targets of a gateway, each with a goroutine of its own that
// follows the store. Its methods may be called by any goroutine.
type Set struct {
	runners []*runner
}

// NewSet makes a Set of targets; Run starts it. Each target follows the store
// by what follow returns.
func NewSet(follow func() Source, log *slog.Logger, targets ...Target) *Set {
	s := &Set{}
	for _, t := range targets {
		s.runners = append(s.runners, newRunner(t, follow, log.With("publisher", t.Name())))
	}
	return s
}

// Run publishes until ctx ends, then publishes once more what is pending, closes
// the targets that have a Close, and
// returns when all its goroutines have ended.
func (s *Set) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, r := range s.runners {
		all.Go(func() { r.run(ctx) })
	}
	all.Wait()
}

// Wait blocks until every target that covers any of names has published them
// as they are at revision. It returns an *Error as soon as it is known that a
// target could not, at once for a target that waits to try again, and when ctx
// ends; the target goes on trying. If no target's name server serves some of
// names, it returns an *UnservedError; revision 0 asks for that alone.
func (s *Set) Wait(ctx context.Context, names []records.Name, revision uint64) error {
	if err := s.covered(names); err != nil {
		return err
	}
	if revision == 0 {
		return s.served(ctx, names)
	}
	for _, r := range s.runners {
		if err := r.wait(ctx, r.covered(names), revision); err != nil {
			return &Error{r.target.Name(), err}
		}
	}
	if err := s.served(ctx, names); err != nil {
		return err
	}
	for _, r := range s.runners {
		if err := r.verify(ctx, r.covered(names)); err != nil {
			return &Error{r.target.Name(), err}
		}
	}
	return nil
}

// Rebuild makes every target write all that it holds, at once, and waits.
func (s *Set) Rebuild(ctx context.Context) error {
	var tickets []uint64
	for _, r := range s.runners {
		tickets = append(tickets, r.askRebuild())
	}
	var errs []error
	for i, r := range s.runners {
		if err := r.waitRebuild(ctx, tickets[i]); err != nil {
			errs = append(errs, &Error{r.target.Name(), err})
		}
	}
	return errors.Join(errs...)
}

// Progress reports how far each target has come.
func (s *Set) Progress() []records.Progress {
	var all []records.Progress
	for _, r := range s.runners {
		all = append(all, r.progress())
	}
	return all
}

// late is what a waiter is told when its patience ends first.
func late(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("not published in time; the gateway goes on trying")
	}
	return ctx.Err()
}
