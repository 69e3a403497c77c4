package gate_test

import (
	"context"
	"io"
	"testing"
	"time"
)

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
