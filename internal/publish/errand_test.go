package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"
)

// TestErrand: however often it is wanted while it runs, it runs once more; after
// a failure it waits, and then runs again by itself.
func TestErrand(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	var runs atomic.Int32
	begun, goOn := make(chan struct{}), make(chan error)
	e := NewErrand("after x", slog.New(slog.DiscardHandler), func(context.Context) error {
		runs.Add(1)
		begun <- struct{}{}
		return <-goOn
	})
	done := make(chan struct{})
	go func() { defer close(done); e.Loop(ctx) }()
	e.Want()
	<-begun
	for range 10 {
		e.Want()
	}
	goOn <- nil
	<-begun
	goOn <- errors.New("no way")
	failed := time.Now()
	e.Want() // does not shorten the wait
	<-begun
	if took := time.Since(failed); took < firstDelay/2 {
		t.Errorf("again after %v", took)
	}
	if s := e.State(); s.LastError != "no way" || s.LastDone.IsZero() || s.NextTry.IsZero() {
		t.Errorf("%+v", s)
	}
	goOn <- nil
	stop()
	<-done
	if n := runs.Load(); n != 3 {
		t.Errorf("%d runs", n)
	}
	if s := e.State(); s.LastError != "" {
		t.Errorf("%+v", s)
	}
}

// TestErrandRefused: an answer that another try would not change stands in the status,
// and nothing waits because of it.
func TestErrandRefused(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	begun, goOn := make(chan struct{}), make(chan error)
	e := NewErrand("notify x", slog.New(slog.DiscardHandler), func(context.Context) error {
		begun <- struct{}{}
		return <-goOn
	})
	done := make(chan struct{})
	go func() { defer close(done); e.Loop(ctx) }()
	e.Want()
	<-begun
	e.Want()
	goOn <- fmt.Errorf("%w: no secondary of it", ErrRefused)
	<-begun
	if s := e.State(); s.LastError != "refused: no secondary of it" || s.LastDone.IsZero() || !s.NextTry.IsZero() {
		t.Errorf("%+v", s)
	}
	goOn <- nil
	stop()
	<-done
	if s := e.State(); s.LastError != "" {
		t.Errorf("%+v", s)
	}
}
