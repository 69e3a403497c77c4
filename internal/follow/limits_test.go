package follow

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/records"
)

func changeLine(revision, host int) string {
	return fmt.Sprintf("%d 2026-01-01T00:00:00Z h%d.example.com - 192.0.2.1 300 SHA256:k -\n", revision, host)
}

// slowStore lets pieces of a whole pile up.
type slowStore struct{ records.Replacer }

func (s slowStore) NewPicture() records.Picture {
	time.Sleep(time.Second)
	return s.Replacer.NewPicture()
}

// A whole of which too much comes ends the connection, also while more pieces wait than
// there is room for.
func TestTooLargeAWholeEndsIt(t *testing.T) {
	said, gateway := io.Pipe()
	defer said.Close()
	go func() {
		out := bufio.NewWriter(gateway)
		out.WriteString("# dnsgate follow 1 word\n# whole\n")
		for i := range 40 * maxPiece {
			if _, err := out.WriteString(changeLine(1, i)); err != nil {
				return
			}
		}
		out.Flush()
		// and no end: the stream stays open
	}()
	run := func(context.Context, string, string) (io.ReadWriteCloser, error) {
		return link{said, io.Discard, said.Close}, nil
	}
	ended := make(chan error, 1)
	go func() {
		_, err := newFollower(slowStore{openStore(t)}, io.Discard, run).converse(t.Context(), "gate")
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "more than 1000 hosts") {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
}

// Changes get no more room than a whole: max_hosts is of all hosts that have records.
func TestChangesHaveNoMoreRoom(t *testing.T) {
	var said strings.Builder
	said.WriteString("# dnsgate follow 1 word\n# whole\n")
	for i := range 999 {
		said.WriteString(changeLine(1, i))
	}
	said.WriteString("# at 1 2026-01-01T00:00:00Z\n")
	end := func(revision int) { fmt.Fprintf(&said, "# at %d 2026-01-01T00:00:00Z\n", revision) }
	said.WriteString(changeLine(2, 0) + changeLine(2, 2000)) // one that is there, and the last there is room for
	end(2)
	said.WriteString(strings.Replace(changeLine(3, 5), "- 192.0.2.1", "192.0.2.1 -", 1) + changeLine(3, 2001)) // one goes, one comes
	end(3)
	s := openStore(t)
	if err := hear(s, said.String()); err == nil || strings.Contains(err.Error(), "more than") || s.Len() != 1000 {
		t.Fatalf("it ended with %v, and %d hosts", err, s.Len())
	}
	said.WriteString(changeLine(4, 2002))
	end(4)
	if err := hear(s, said.String()); err == nil || !strings.Contains(err.Error(), "more than 1000 hosts") || s.Len() > 1000 {
		t.Errorf("it ended with %v, and %d hosts", err, s.Len())
	}
}

// What waits to be acknowledged does not grow while the publisher is stuck.
func TestStuckPublisherKeepsNoNames(t *testing.T) {
	a := newAcks(&Follower{}, io.Discard)
	for i := range 3 * maxQueue {
		a.stored([]uint64{uint64(i + 1)}, &group{hosts: []records.Host{{Name: "a.example.com", Records: []records.Record{{}}}}}, uint64(i+1))
	}
	names := 0
	for _, s := range a.queue {
		names += len(s.names) + len(s.gone)
	}
	if newest := a.queue[len(a.queue)-1]; len(a.queue) > maxQueue || names > maxQueue || !newest.whole || newest.theirs != 3*maxQueue {
		t.Errorf("%d wait, with %d names; the newest is %d, whole: %t", len(a.queue), names, newest.theirs, newest.whole)
	}
}

// A follower that says it has a revision which is still to come serves nothing of it.
func TestNoAckOfTheFuture(t *testing.T) {
	g := newGateway(t, ".example.com")
	revision := g.set("a.example.com", "192.0.2.1")
	for range maxWholes {
		g.server.wholes <- struct{}{} // others get the whole
	}
	conn, _ := g.run(t.Context(), "", fmt.Sprintf("follow %s %d", word(g.server.id, []string{".example.com"}), uint64(math.MaxUint64)))
	go fmt.Fprintf(conn, "at %d\n", revision)
	if _, err := io.Copy(io.Discard, conn); err == nil || !strings.Contains(err.Error(), "was sent no more than 0") {
		t.Errorf("it ended with %v", err)
	}
}
