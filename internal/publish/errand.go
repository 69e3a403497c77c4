package publish

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"dnsgate/internal/records"
)

// ErrRefused is the error of an errand that was done, with an answer that another try
// would not change.
var ErrRefused = errors.New("refused")

// Errand is work that a target does after it has published, and that no client waits
// for. Only one runs at a time. It runs once more if it is wanted meanwhile, and again
// after a failure, later each time; after ErrRefused only when it is wanted. Make one
// with NewErrand; Loop runs it.
type Errand struct {
	run    func(ctx context.Context) error
	log    *slog.Logger
	wanted chan struct{} // capacity 1

	mu    sync.Mutex
	state records.Errand
}

// NewErrand makes one that nobody has wanted yet. Its name stands in status and log.
func NewErrand(name string, log *slog.Logger, run func(ctx context.Context) error) *Errand {
	return &Errand{run: run, log: log, wanted: make(chan struct{}, 1), state: records.Errand{Name: name}}
}

// Want makes the errand run soon.
func (e *Errand) Want() {
	select {
	case e.wanted <- struct{}{}:
	default:
	}
}

// Loop runs the errand whenever it is wanted, until ctx ends.
func (e *Errand) Loop(ctx context.Context) {
	var b backoff
	for {
		wanted := e.wanted
		var again <-chan time.Time
		if !b.until.IsZero() { // a Want meanwhile waits too
			wanted, again = nil, time.After(time.Until(b.until))
		}
		select {
		case <-wanted:
		case <-again:
			select {
			case <-e.wanted:
			default:
			}
		case <-ctx.Done():
			return
		}
		b.now()
		err := e.run(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return
		case err != nil && !errors.Is(err, ErrRefused):
			b.fail(time.Now())
		default:
			b.reset()
		}
		e.note(err, b.until)
	}
}

func (e *Errand) note(err error, again time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &e.state
	s.NextTry = again
	if again.IsZero() {
		s.LastDone = time.Now()
	}
	if err == nil {
		if s.LastError != "" {
			e.log.Info("done again", "errand", s.Name)
		}
		s.LastError = ""
		return
	}
	if err.Error() != s.LastError {
		e.log.Error("errand failed", "errand", s.Name, "error", err)
	}
	s.LastError, s.LastErrorTime = err.Error(), time.Now()
}

// State is the result of the last run.
func (e *Errand) State() records.Errand {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state
}

// Errander is a Target that has errands. Errands may be called by any goroutine.
type Errander interface {
	Target
	Errands() []records.Errand
}
