package command

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// draining is a gateway in a bubble of synctest that is being drained.
type draining struct {
	*testing.T
	gate *Interpreter
	log  bytes.Buffer
	over chan time.Duration // how long Drain took, once it has returned
}

func drainOf(t *testing.T, allowed time.Duration, begun func(g *Interpreter)) *draining {
	d := &draining{T: t, over: make(chan time.Duration, 1)}
	d.gate = &Interpreter{Log: slog.New(slog.NewTextHandler(&d.log, nil))}
	begun(d.gate)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), allowed)
		defer cancel()
		began := time.Now()
		d.gate.Drain(ctx)
		d.over <- time.Since(began)
	}()
	synctest.Wait()
	return d
}

func (d *draining) took(want time.Duration) {
	d.Helper()
	if got := <-d.over; got != want {
		d.Errorf("the drain took %v, not %v", got, want)
	}
	if told := strings.Contains(d.log.String(), "still running"); told != (want > 0) {
		d.Errorf("logged: %s", &d.log)
	}
}

// A drain waits until the last client has its exit status, for the commands of
// all doors; what begins later is refused and not waited for.
func TestDrainWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ends []func()
		d := drainOf(t, time.Minute, func(g *Interpreter) {
			for range 2 {
				_, end := g.Begin(t.Context())
				ends = append(ends, end)
			}
		})
		if d.gate.drain.refusal() == nil {
			t.Error("commands still begin")
		}
		_, late := d.gate.Begin(t.Context())
		ends[0]()
		synctest.Wait()
		if len(d.over) > 0 {
			t.Error("one command was not waited for")
		}
		ends[1]()
		d.took(0)
		d.gate.Wait()
		late()
		d.gate.Drain(t.Context()) // of another door
	})
}

// A command outlives its connection, and is ended by the drain when that has
// waited long enough.
func TestDrainEndsCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		connection, closed := context.WithCancel(t.Context())
		var prompt, stuck context.Context
		var ends [2]func()
		d := drainOf(t, time.Minute, func(g *Interpreter) {
			prompt, ends[0] = g.Begin(connection)
			stuck, ends[1] = g.Begin(connection)
		})
		closed()
		synctest.Wait()
		if prompt.Err() != nil {
			t.Error("a command ended with its connection")
		}
		context.AfterFunc(prompt, ends[0])
		d.took(time.Minute + lastWords)
		if stuck.Err() == nil {
			t.Error("a command goes on")
		}
		ends[1]() // as a door sees to, by closing the connection
		d.gate.Wait()
	})
}

// A verb that lasts as long as its client hears of the drain when it begins.
func TestLastingVerbsEndByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := drainOf(t, time.Minute, func(g *Interpreter) {
			_, end := g.Begin(t.Context())
			go func() {
				<-g.drain.stopping()
				end()
			}()
		})
		d.took(0)
	})
}
