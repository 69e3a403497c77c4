package command

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Lines in flight are bounded over all batches, each batch has places of its
// own, and all come back.
func TestPlacesOfLines(t *testing.T) {
	g, p := newGateway(t)
	g.PublishTimeout = time.Minute
	stuck := make(chan struct{})
	p.wait = func(ctx context.Context) error { <-stuck; return nil }
	const lines = sharedLines + 2*ownLines
	batch := func(host string) chan string {
		var in strings.Builder
		for i := range lines {
			fmt.Fprintf(&in, "%d.%s.example.com 192.0.2.1\n", i, host)
		}
		c := newClient(t, g, "allow ."+host+".example.com")
		c.in = strings.NewReader(in.String())
		said := make(chan string, 1)
		go func() {
			out, _ := c.run("update -")
			said <- out
		}()
		return said
	}
	inFlight := func(n int) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); g.Store.Len() < n; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d lines are in flight, not %d", g.Store.Len(), n)
			}
		}
		time.Sleep(100 * time.Millisecond)
		if g.Store.Len() != n {
			t.Fatalf("%d lines are in flight, not %d", g.Store.Len(), n)
		}
	}
	first := batch("a")
	inFlight(sharedLines + ownLines)
	second := batch("b")
	inFlight(sharedLines + 2*ownLines)
	close(stuck)
	for _, said := range []chan string{first, second} {
		if n := strings.Count(<-said, "good 192.0.2.1 "); n != lines {
			t.Errorf("%d lines of %d were answered", n, lines)
		}
	}
	if len(g.lines) > 0 {
		t.Errorf("%d places did not come back", len(g.lines))
	}
}
