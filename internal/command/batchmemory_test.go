package command

import (
	"context"
	"dnsgate/internal/records"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// unread is the output to a client that takes nothing.
type unread struct{ until chan struct{} }

func (u unread) Write(b []byte) (int, error) {
	<-u.until
	return len(b), nil
}

// heapOf is the memory, in bytes, that is in use.
func heapOf() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// longLines is a batch of lines that are as costly as a line can be: many
// hosts, each with many addresses.
func longLines(n, hosts int, host string) io.Reader {
	var addresses strings.Builder
	for i := range records.MaxAddresses {
		fmt.Fprintf(&addresses, " 192.0.2.10%d 2a01:db80:1111:2222:3333:4444:5555:666%d", i, i)
	}
	in, out := io.Pipe()
	go func() {
		defer out.Close()
		for i := range n {
			var line strings.Builder
			for h := range hosts {
				fmt.Fprintf(&line, "%d.%d.%s ", i, h, host)
			}
			if _, err := fmt.Fprintf(out, "%s%s\n", strings.TrimSuffix(line.String(), " "), addresses.String()); err != nil {
				return
			}
		}
	}()
	return in
}

// What a batch holds does not depend on how long its lines are, nor on whether
// the client takes the answers.
func TestBatchMemory(t *testing.T) {
	for _, c := range []struct {
		name    string
		command string
		hosts   int
		stuck   bool
		unread  bool
	}{
		{"unread answers", "update --dry-run -", 100, false, true},
		{"unread answers, one host", "update --dry-run -", 1, false, true},
		{"answered", "update --dry-run -", 100, false, false},
		{"a publisher hangs", "update -", 100, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, p := newGateway(t)
			g.PublishTimeout = time.Minute
			if c.stuck {
				p.wait = func(ctx context.Context) error { <-ctx.Done(); return nil }
			}
			client := newClient(t, g, "allow .x.example.com")
			until := make(chan struct{})
			var out io.Writer = io.Discard
			if c.unread {
				out = unread{until}
			}
			before := heapOf()
			ctx, cancel := context.WithCancel(context.Background())
			s := &Session{Source: client.peer, Began: time.Now(), Grant: fixed(client.grant)}
			ended := make(chan struct{})
			in := longLines(3000, c.hosts, "x.example.com")
			go func() {
				defer close(ended)
				g.Run(ctx, s, Parse(c.command), Streams{In: in, Out: out, Err: io.Discard})
			}()
			most := int64(0)
		watch:
			for range 20 {
				select {
				case <-ended:
					break watch
				case <-time.After(50 * time.Millisecond):
					most = max(most, heapOf()-before)
				}
			}
			if most > 64<<20 {
				t.Errorf("one batch holds %d MiB", most>>20)
			}
			cancel()
			close(until)
			in.(io.Closer).Close()
			<-ended
		})
	}
}
