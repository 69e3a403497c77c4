package screen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// runScreen runs a screen until it ends, and returns what was written. Its input
// ends only once seen was written.
func runScreen(t *testing.T, o Options, seen string) (string, error) {
	t.Helper()
	out := &watched{text: seen, seen: make(chan struct{})}
	o.Out, o.In, o.Source = CRLF(out), io.MultiReader(o.In, waiting{out.seen}), example()
	if o.Check == nil {
		o.Check = func() error { return nil }
	}
	if o.Idle == 0 {
		o.Idle = time.Hour
	}
	err := Run(t.Context(), o)
	return out.String(), err
}

// watched is a terminal of which is known when it was shown a text.
type watched struct {
	bytes.Buffer
	text string
	seen chan struct{}
	once sync.Once
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if strings.Contains(w.String(), w.text) {
		w.once.Do(func() { close(w.seen) })
	}
	return n, err
}

type waiting struct{ until chan struct{} }

func (w waiting) Read([]byte) (int, error) {
	<-w.until
	return 0, io.EOF
}

func TestRunEnds(t *testing.T) {
	xterm := Terminal{Type: "xterm", Size: Size{80, 24}}
	never, stop := io.Pipe()
	defer stop.Close()
	gone := errors.New("the key has gone")
	for name, test := range map[string]struct {
		o    Options
		want error
	}{
		"by a key":     {Options{In: strings.NewReader("q")}, nil},
		"with input":   {Options{In: strings.NewReader("")}, nil},
		"by the check": {Options{In: never, Check: func() error { return gone }}, gone},
		"idle":         {Options{In: never, Idle: time.Nanosecond}, ErrIdle},
	} {
		test.o.Terminal = xterm
		out, err := runScreen(t, test.o, "home.example.com")
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if !strings.HasSuffix(out, "\x1b[?2004l") && strings.Count(out, "\x1b[?1049h") != strings.Count(out, "\x1b[?1049l") {
			t.Errorf("%s: the terminal is left as it was not: %q", name, out)
		}
	}
}

func TestRunSendsNoColourWhereThereIsNone(t *testing.T) {
	for _, test := range []struct {
		terminal Terminal
		colour   bool
	}{
		{Terminal{Type: "xterm-256color"}, true},
		{Terminal{Type: "xterm-256color", NoColor: true}, false},
	} {
		out, err := runScreen(t, Options{Terminal: test.terminal, In: strings.NewReader("3")}, "SHA256:cccc")
		if err != nil || strings.Contains(out, "\x1b[36;1m") != test.colour {
			t.Errorf("%v: %v: %q", test.terminal, err, out)
		}
		if !strings.Contains(out, `evil \x1b[2J`) {
			t.Errorf("the hostile comment is not shown: %q", out)
		}
		if bad := "\x1b]0;owned"; strings.Contains(out, bad) || strings.Contains(out, "evil \x1b") {
			t.Errorf("it was sent: %q", out)
		}
		if i := strings.Index(out, "\n"); i >= 0 && strings.Contains(strings.ReplaceAll(out, "\r\n", ""), "\n") {
			t.Errorf("a bare line feed: %q", out)
		}
	}
}

// moving is a Source whose state and hosts are others each time. Its hosts take long to
// read.
type moving struct {
	*fixed
	looks atomic.Int64
	hosts atomic.Int64
}

func (m *moving) Now(context.Context) (Now, error) {
	now := m.now
	now.Revision = uint64(m.looks.Add(1))
	now.Time = now.Time.Add(time.Duration(now.Revision) * time.Minute) // the list is read each time
	return now, nil
}

func (m *moving) Hosts(context.Context) ([]Host, error) {
	time.Sleep(2 * time.Second / framesPerSecond) // a frame is drawn meanwhile
	return []Host{{Name: fmt.Sprintf("host%d.example.com", m.hosts.Add(1))}}, nil
}

// frames counts what is written to a terminal, and leaves after some looks.
type frames struct {
	source *moving
	leave  *io.PipeWriter
	first  int64 // look
	drawn  atomic.Int64
}

func (f *frames) Write(b []byte) (int, error) {
	looks := f.source.looks.Load()
	if looks >= f.first {
		f.drawn.Add(1)
	}
	if looks == f.first+6 {
		f.leave.Close()
	}
	return len(b), nil
}

// A screen that nobody touches is drawn once for each look, also when its list is read
// again.
func TestAScreenThatNobodyTouchesIsDrawnOnceASecond(t *testing.T) {
	t.Parallel()
	in, leave := io.Pipe()
	source := &moving{fixed: example()}
	out := &frames{source: source, leave: leave, first: 3}
	if err := Run(t.Context(), Options{
		Terminal: Terminal{Type: "xterm", Size: Size{80, 24}}, In: in, Out: out, Source: source, Idle: time.Hour, Check: func() error { return nil },
	}); err != nil {
		t.Fatal(err)
	}
	looks, lists := source.looks.Load()-out.first+1, source.hosts.Load()
	if n := out.drawn.Load(); n > looks+1 || lists < 3 { // the last frame leaves the screen
		t.Errorf("%d frames for %d looks and %d lists", n, looks, lists)
	}
}

// A screen that may not go on ends before it looks again.
func TestChecksComeBetweenLooks(t *testing.T) {
	in, leave := io.Pipe()
	defer leave.Close()
	source := &moving{fixed: example()}
	gone := errors.New("the key has gone")
	checks := 0
	err := Run(t.Context(), Options{
		Terminal: Terminal{Type: "xterm", Size: Size{80, 24}}, In: in, Out: io.Discard, Source: source, Idle: time.Hour,
		Check: func() error {
			if checks++; checks < 3 {
				return nil
			}
			return gone
		},
	})
	if looks := source.looks.Load(); !errors.Is(err, gone) || looks != 1 {
		t.Errorf("%v after %d looks", err, looks)
	}
}
