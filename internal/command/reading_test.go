package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records"
)

// TestOneReaderOfAKey: of one key one command that looks at many hosts runs at a
// time, another waits and is then told so, and other keys are not held up.
func TestOneReaderOfAKey(t *testing.T) {
	var r reading
	end, err := r.begin(context.Background(), "one")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := r.begin(ctx, "one"); err == nil || asRefusal(err).Code != Abuse {
		t.Errorf("a second one: %v", err)
	}
	other, err := r.begin(context.Background(), "other")
	if err != nil {
		t.Fatal(err)
	}
	other()
	got := make(chan error)
	go func() {
		_, err := r.begin(context.Background(), "one")
		got <- err
	}()
	time.Sleep(10 * time.Millisecond)
	end()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// TestListIsNotHeld: of a list that the client does not read, a hundred hosts are
// held, and not all.
func TestListIsNotHeld(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow .lab.example.com")
	var lines strings.Builder
	const hosts = 2000
	for i := range hosts {
		fmt.Fprintf(&lines, "h%d.lab.example.com 192.0.2.1\n", i)
	}
	c.in = strings.NewReader(lines.String())
	if _, status := c.run("update -"); status != 0 {
		t.Fatal("status ", status)
	}
	read := 0
	g.Store = counting{g.Store.(closing), &read}
	out, in := io.Pipe()
	session := &Session{Source: c.peer, Began: time.Now(), Grant: func() (authkeys.Grant, error) { return c.grant, nil }}
	done := make(chan int, 1)
	go func() {
		done <- g.Run(context.Background(), session, Parse("list"), Streams{Out: in, Err: io.Discard})
		in.Close()
	}()
	out.Read(make([]byte, 1)) // it has begun, and blocks
	time.Sleep(20 * time.Millisecond)
	if read > 2*records.EachBatch {
		t.Errorf("%d hosts were read for a client that does not read", read)
	}
	var rest bytes.Buffer
	rest.ReadFrom(out)
	if n := strings.Count(rest.String(), "\n"); <-done != 0 || n != hosts {
		t.Errorf("%d lines", n)
	}
}

// counting is a store that counts the hosts that were read.
type counting struct {
	closing
	read *int
}

func (c counting) Hosts(ctx context.Context, names []records.Name) ([]records.Host, error) {
	*c.read += len(names)
	return c.closing.Hosts(ctx, names)
}
