package gate

import (
	"net"
	"testing"
	"time"
)

// TestReadAheadIsShared has connections read ahead until what they share is
// used up: then each has its own part alone, and gets more once one is gone.
func TestReadAheadIsShared(t *testing.T) {
	g := &Gate{readAhead: pool{left: 2 * (maxReadAhead - ownReadAhead)}}
	waiting := func(n int) *conn {
		here, there := net.Pipe()
		t.Cleanup(func() { here.Close(); there.Close() })
		c := newConn(g, here, source("192.0.2.1").Addr(), &Limits{LoginGraceTime: time.Minute, IdleTimeout: time.Minute, MaxConnection: time.Minute})
		g.startups.begin(sourceNetwork(c.source), 10, 10)
		c.waiting, c.unasked = 1, n
		return c
	}
	first, second, third := waiting(maxReadAhead), waiting(maxReadAhead), waiting(ownReadAhead)
	if first.ahead() || second.ahead() || third.ahead() {
		t.Error("held back though there is room")
	}
	third.unasked++
	if !third.ahead() {
		t.Error("more is read ahead than there is")
	}
	first.release()
	if third.ahead() {
		t.Error("what the first connection took is not back")
	}
	second.release()
	third.release()
	if g.readAhead.left != 2*(maxReadAhead-ownReadAhead) {
		t.Errorf("%d left in the end", g.readAhead.left)
	}
}

// TestChannelsAreShared opens no channel beyond the first once the shared
// places are taken; see session.
func TestChannelsAreShared(t *testing.T) {
	p := pool{left: 2}
	for i, want := range []bool{true, true, false} {
		if got := p.take(1); got != want {
			t.Errorf("place %d: %v", i, got)
		}
	}
	p.give(1)
	for i, want := range []bool{true, false} {
		if got := p.take(1); got != want {
			t.Errorf("place %d again: %v", i, got)
		}
	}
}
