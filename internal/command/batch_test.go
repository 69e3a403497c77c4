package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestBatch(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow a.example.com .lab.example.com")
	batch := func(command, in string, status int, want ...string) {
		t.Helper()
		c.in = strings.NewReader(in)
		c.expect(status, command, want...)
	}
	batch("update -", "", 0)
	batch("update -", "\n  \n\t\n", 0)
	batch("update -", "192.0.2.1", 0, "good 192.0.2.1 a.example.com")
	batch("update -", "192.0.2.1\r\n192.0.2.2\r\n", 0, "nochg 192.0.2.1 a.example.com", "good 192.0.2.2 a.example.com")
	batch("update -", " a.example.com\t192.0.2.3 \nx.lab.example.com y.lab.example.com 192.0.2.3\n", 0,
		"good 192.0.2.3 a.example.com", "good 192.0.2.3 x.lab.example.com", "good 192.0.2.3 y.lab.example.com")
	batch("update -", "a.example.com\n", 0, "good 203.0.113.1 a.example.com")
	batch("update -", "192.0.2.4\nb.example.com 192.0.2.4\n10.0.0.1\n\x00\nhome 192.0.2.1\n192.0.2.5\n", 77,
		"good 192.0.2.4 a.example.com", "nohost ...", "badaddr ...", "badcmd ...", "notfqdn ...", "good 192.0.2.5 a.example.com")
	batch("update -", "a.example.com b.example.com 192.0.2.6\n", 77, "nohost b.example.com is not this key's")
	batch("update -", "192.0.2.6 a.example.com\n", 64, "badcmd ...")
	batch("update -", "-\n", 65, "notfqdn ...")
	batch("update --dry-run -", "192.0.2.7\n192.0.2.5\n", 0, "good 192.0.2.7 a.example.com", "nochg 192.0.2.5 a.example.com")
	batch("update - 192.0.2.7", "192.0.2.7\n", 65, "notfqdn ...")
	full := strings.Repeat(" ", maxLine-len("192.0.2.8")) + "192.0.2.8"
	batch("update -", full+"\n", 0, "good 192.0.2.8 a.example.com")
	batch("update -", full+"\r\n", 0, "nochg 192.0.2.8 a.example.com")
	batch("update -", " "+full+"\n192.0.2.9\n", 64, "badcmd longer than 4096 bytes", "good 192.0.2.9 a.example.com")
	batch("update -", "192.0.2.8\n"+strings.Repeat("x", 1<<20), 64, "good 192.0.2.8 a.example.com", "badcmd longer than 4096 bytes")
	batch("list", "192.0.2.99\n", 0, "a.example.com. 300 IN A 192.0.2.8", "x.lab.example.com. ...", "y.lab.example.com. ...")
}

// TestBatchOrder: of many lines for few hosts the last is what stays, the
// replies come in the order of the lines, and each is true of its line.
func TestBatchOrder(t *testing.T) {
	const lines, hosts = 3000, 7
	g, _ := newGateway(t)
	c := newClient(t, g, "allow .lab.example.com")
	var in, want strings.Builder
	for i := range lines {
		fmt.Fprintf(&in, "h%d.lab.example.com 192.0.%d.%d\n", i%hosts, i/200, i%200)
		fmt.Fprintf(&want, "good 192.0.%d.%d h%d.lab.example.com\n", i/200, i%200, i%hosts)
	}
	c.in = strings.NewReader(in.String())
	if out, status := c.run("update -"); status != 0 || out != want.String() {
		t.Errorf("exit status %d; the replies are not those of the lines", status)
	}
	for i := lines - hosts; i < lines; i++ {
		host := fmt.Sprintf("h%d.lab.example.com", i%hosts)
		c.expect(0, "list "+host, fmt.Sprintf("%s. 300 IN A 192.0.%d.%d", host, i/200, i%200))
	}
}

// TestBatchAnswersAsItGoes: a reply comes before the next line is sent.
func TestBatchAnswersAsItGoes(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow a.example.com")
	in, lines := io.Pipe()
	replies, out := io.Pipe()
	ended := make(chan int)
	go func() {
		s := &Session{Source: c.peer, Began: time.Now(), Grant: fixed(c.grant)}
		status := g.Run(context.Background(), s, Parse("update -"), Streams{In: in, Out: out, Err: io.Discard})
		out.Close()
		ended <- status
	}()
	buf := make([]byte, 1000)
	for i := range 5 {
		fmt.Fprintf(lines, "192.0.2.%d\n", i)
		n, err := replies.Read(buf)
		if got, want := string(buf[:n]), fmt.Sprintf("good 192.0.2.%d a.example.com\n", i); err != nil || got != want {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
	lines.Close()
	if status := <-ended; status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestBatchCutShort: input that fails, a stop in between, a key that changes.
func TestBatchCutShort(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow a.example.com")
	c.in = io.MultiReader(strings.NewReader("192.0.2.1\n192"), iotest.ErrReader(errors.New("torn")))
	c.expect(75, "update -", "good 192.0.2.1 a.example.com", "911 reading the batch: torn")

	c.in = io.MultiReader(strings.NewReader("192.0.2.2\n"), call(func() {
		for g.Store.Revision() < 2 { // the line before is to be stored
			time.Sleep(time.Millisecond)
		}
		g.drain.begin()
	}), strings.NewReader("192.0.2.3\n"))
	c.expect(75, "update -", "good 192.0.2.2 a.example.com", "911 the gateway is stopping; try again in a minute")

	g, _ = newGateway(t)
	c = newClient(t, g, "allow a.example.com b.example.com")
	narrow := call(func() {
		for g.Store.Revision() == 0 { // the first line is to be stored before
			time.Sleep(time.Millisecond)
		}
		c.grant = allow(t, "allow b.example.com")
	})
	c.in = io.MultiReader(strings.NewReader("a.example.com 192.0.2.1\n"), narrow, strings.NewReader("a.example.com 192.0.2.2\n192.0.2.2\n"))
	c.expect(77, "update -", "good 192.0.2.1 a.example.com", "nohost a.example.com is not this key's", "good 192.0.2.2 b.example.com")
}

// call is an empty reader that calls f when it is read.
func call(f func()) io.Reader { return caller(f) }

type caller func()

func (f caller) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

// TestBatchEndsWithItsSession: when the session ends, lines that wait for a
// publisher end too, and so does the batch.
func TestBatchEndsWithItsSession(t *testing.T) {
	g, p := newGateway(t)
	waiting := make(chan struct{}, 10)
	p.wait = func(ctx context.Context) error {
		waiting <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	c := newClient(t, g, "allow a.example.com")
	ctx, cancel := context.WithCancel(context.Background())
	c.ctx = ctx
	c.in = io.MultiReader(strings.NewReader("192.0.2.1\n"), call(func() { <-waiting; cancel() }))
	out, status := c.run("update -") // and then, unless the input's end was seen first, that the session ended
	if status != 75 || !strings.HasPrefix(out, "dnserr stored, but the gateway stopped before it was published; that follows when it is back\n") {
		t.Errorf("exit status %d and %q", status, out)
	}
}
