package gate_test

import (
	"context"
	"io"
	"testing"
	"time"
)

// A connection arrives until it asks for a command or ends, and not for ever.
func TestArriving(t *testing.T) {
	g := open(t)
	wants := func(n int, why string) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); g.Arriving() != n; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d arrive, not %d", why, g.Arriving(), n)
			}
		}
	}
	wants(0, "nobody")
	began := time.Now()
	silent := mustConnect(t, g.addr)
	wants(1, "one that says nothing")
	wants(0, "one that says nothing for long")
	if time.Since(began) < 100*time.Millisecond {
		t.Error("nobody can log in so quickly over a network")
	}
	silent.Close()

	gone := mustConnect(t, g.addr)
	wants(1, "one that is about to hang up")
	gone.Close()
	wants(0, "one that hung up")

	client := g.mustDial(g.owner)
	channel := openSession(t, client)
	channel.SendRequest("exec", true, text("update -"))
	wants(0, "one with a command")
	g.expect(client, "whoami", "")
	wants(0, "one with two")
}

// What was written goes out though the connection is closed at once.
func TestLastWordsAreSent(t *testing.T) {
	for range 20 {
		g := open(t)
		client := g.mustDial(g.owner)
		channel := openSession(t, client)
		channel.SendRequest("exec", true, text("update -"))
		said := make(chan string)
		go func() {
			all, _ := io.ReadAll(channel)
			said <- string(all)
		}()
		io.WriteString(channel, "192.0.2.1\n")
		time.Sleep(20 * time.Millisecond)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		g.Shutdown(ctx)
		cancel()
		if got := <-said; got == "" {
			t.Error("the reply was lost")
		}
	}
}
