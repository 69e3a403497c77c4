package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"
)

// stepped is an errand that a test takes through its runs.
type stepped struct {
	*Errand
	begun chan struct{} // a run has begun
	goOn  chan error    // and ends so
	end   func()        // the test is through: nothing may run any more
}

func newStepped(t *testing.T) stepped {
	ctx, stop := context.WithCancel(context.Background())
	begun, goOn, done := make(chan struct{}), make(chan error), make(chan struct{})
	e := NewErrand("x", slog.New(slog.DiscardHandler), func(context.Context) error {
		begun <- struct{}{}
		return <-goOn
	})
	go func() { defer close(done); e.Loop(ctx) }()
	return stepped{e, begun, goOn, func() {
		stop()
		select {
		case <-done:
		case <-begun:
			t.Error("one run too many")
		}
	}}
}

// TestErrand: however often it is wanted while it runs, it runs once more; after
// a failure it waits, and then runs again by itself.
func TestErrand(t *testing.T) {
	e := newStepped(t)
	e.Want()
	<-e.begun
	for range 10 {
		e.Want()
	}
	e.goOn <- nil
	<-e.begun
	e.goOn <- errors.New("no way")
	failed := time.Now()
	e.Want() // does not shorten the wait
	<-e.begun
	if took := time.Since(failed); took < firstDelay/2 {
		t.Errorf("again after %v", took)
	}
	if s := e.State(); s.LastError != "no way" || s.LastDone.IsZero() || s.NextTry.IsZero() {
		t.Errorf("%+v", s)
	}
	e.goOn <- nil
	e.end()
	if s := e.State(); s.LastError != "" {
		t.Errorf("%+v", s)
	}
}

// TestErrandRefused: an answer that another try would not change stands in the status,
// and nothing waits because of it.
func TestErrandRefused(t *testing.T) {
	e := newStepped(t)
	e.Want()
	<-e.begun
	e.Want()
	e.goOn <- fmt.Errorf("%w: no secondary of it", ErrRefused)
	<-e.begun
	if s := e.State(); s.LastError != "refused: no secondary of it" || s.LastDone.IsZero() || !s.NextTry.IsZero() {
		t.Errorf("%+v", s)
	}
	e.goOn <- nil
	e.end()
	if s := e.State(); s.LastError != "" {
		t.Errorf("%+v", s)
	}
}
