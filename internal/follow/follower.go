package follow

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dnsgate/internal/pause"
	"dnsgate/internal/records"
)

// Options are what a Follower needs. All functions may be called concurrently.
type Options struct {
	Gateways []string // "HOST:PORT"; the first that answers
	Names    Names
	MaxHosts int              // more in a whole are refused
	Store    records.Replacer // nobody else changes it
	Log      *slog.Logger

	// Whole is called once the store holds a whole.
	Whole func()
	// Run runs a command on a gateway.
	Run func(ctx context.Context, address, command string) (io.ReadWriteCloser, error)
	// Reach returns once everything up to a revision of Store is published, with the
	// hosts that were refused.
	Reach func(ctx context.Context, revision uint64) (refused []records.Name, err error)
	// Unserved returns those of names that no name server here serves.
	Unserved func(ctx context.Context, names []records.Name) []records.Name
}

// After this silence a gateway is given up. The waits between two tries double, from
// the first to the longest.
const (
	silence   = 10 * time.Second
	firstWait = time.Second
	maxWait   = 30 * time.Second
)

// Follower takes the state of its names from a gateway, and keeps it in a store.
type Follower struct {
	o Options

	mu sync.Mutex
	up Upstream
}

// New makes a Follower. Run starts it.
func New(o Options) *Follower { return &Follower{o: o, up: Upstream{Since: time.Now()}} }

// Upstream describes the gateway.
func (f *Follower) Upstream() Upstream {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.up
}

// Run follows until ctx ends. It logs why a connection ended, and begins another one.
func (f *Follower) Run(ctx context.Context) {
	wait := firstWait
	for ctx.Err() == nil {
		for _, address := range f.o.Gateways {
			received, err := f.converse(ctx, address)
			if ctx.Err() != nil {
				return
			}
			f.lost(address, err)
			if received {
				wait = firstWait
				break // the first again
			}
		}
		pause.For(ctx, wait-rand.N(wait/2))
		wait = min(2*wait, maxWait)
	}
}

func (f *Follower) lost(address string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.up.Connected || f.up.LastError != err.Error() {
		f.o.Log.Error("not following", "gateway", address, "error", err)
	}
	if f.up.Connected {
		f.up.Connected, f.up.Since = false, time.Now()
	}
	f.up.Address, f.up.LastError = address, err.Error()
}

func (f *Follower) connected(address string, whole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.up.Address, f.up.Connected, f.up.Since, f.up.LastError = address, true, time.Now(), ""
	f.o.Log.Info("following", "gateway", address, "from_the_beginning", whole)
}

// converse follows one gateway until that ends, which is always an error. received says
// whether a group came that could be taken.
func (f *Follower) converse(ctx context.Context, address string) (received bool, err error) {
	mark, err := f.o.Store.Mark(ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := f.o.Run(ctx, address, strings.TrimSpace("follow "+mark))
	if err != nil {
		return false, err
	}
	defer conn.Close()
	a := &applier{follower: f, acks: newAcks(f, conn), groups: make(chan *group, 16), mark: mark}
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel()
	defer conn.Close()
	failed := make(chan error, 2)
	for _, helper := range []func(context.Context) error{a.run, a.acks.run} {
		helpers.Go(func() {
			if err := helper(ctx); err != nil && ctx.Err() == nil {
				failed <- err
				cancel() // receive may be waiting to hand over a group
				conn.Close()
			}
		})
	}
	r := &receiver{in: bufio.NewReaderSize(conn, maxLine), names: f.o.Names, most: f.o.MaxHosts, mark: mark}
	received, err = f.receive(ctx, address, conn, r, a)
	select {
	case first := <-failed:
		err = first
	default:
	}
	return received, err
}

func (f *Follower) receive(ctx context.Context, address string, conn io.Closer, r *receiver, a *applier) (received bool, err error) {
	var quiet atomic.Bool
	timer := time.AfterFunc(silence, func() { quiet.Store(true); conn.Close() })
	defer timer.Stop()
	for {
		was := r.begun
		g, err := r.next(func() { timer.Reset(silence) })
		switch {
		case err != nil && quiet.Load():
			return received, fmt.Errorf("no line came for %s", silence)
		case errors.Is(err, io.EOF):
			return received, errors.New("the gateway ended the stream")
		case err != nil:
			return received, err
		}
		if !was && r.begun {
			f.connected(address, r.reached == 0)
		}
		if g == nil {
			continue
		}
		timer.Stop() // this end is the slow one
		select {
		case a.groups <- g:
			timer.Reset(silence)
		case <-ctx.Done():
			return received, ctx.Err()
		}
		if !g.more {
			received = true
			f.mu.Lock()
			f.up.Revision = g.revision
			f.mu.Unlock()
		}
	}
}
