package screen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
)

func TestDecode(t *testing.T) {
	for _, test := range []struct {
		in   []string
		want string
	}{
		{[]string{"a/"}, "a /"},
		{[]string{"\x1b[A\x1bOB\x1b[5~\x1b[Z"}, "up down pgup back"},
		{[]string{"\x1b"}, "esc"},
		{[]string{"\x1b[", "A"}, "up"},
		{[]string{"\x1b[1;5A"}, ""}, // with control: nothing of ours
		{[]string{"\x1b[200~q\x1b[A\r", "x\x1b[201~y"}, "'q 'x y"},
		{[]string{"\x03\x04\x0c\x7f"}, "quit quit redraw backspace"},
		{[]string{"\x00\x80\xff\xc3\xa4"}, ""},
		{[]string{"\x1b[" + strings.Repeat("1", 100) + "q"}, strings.TrimSpace(strings.Repeat("1 ", 100-(maxSequence-2)) + "q")},
	} {
		var d decoder
		var got []string
		for _, s := range test.in {
			ks, _ := d.decode([]byte(s))
			for _, k := range ks {
				if k.pasted {
					k.name = "'" + k.name
				}
				got = append(got, k.name)
			}
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("%q: %q, want %q", test.in, s, test.want)
		}
	}
}

func TestDecodeSize(t *testing.T) {
	var d decoder
	for in, want := range map[string]*Size{
		"\x1b[8;30;100t":         {100, 30},
		"\x1b[8;5000;20000t":     &MaxSize,
		"\x1b[8;0;0t":            {80, 24},
		"\x1b[9;30;100t":         nil,
		"\x1b[8;30t":             nil,
		"\x1b[8;99999999;8;1;1t": nil,
	} {
		if _, got := d.decode([]byte(in)); (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x1b[200~x\x1b[8;30;100t\x1b"), []byte("[A"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		m := newModel(t.Context(), example(), Terminal{Type: "vt100", Size: Size{80, 24}})
		m.take(example().now)
		var d decoder
		for _, in := range [][]byte{a, b} {
			ks, size := d.decode(in)
			if len(d.held) > maxSequence+1 {
				t.Fatalf("%d bytes are held", len(d.held))
			}
			if size != nil {
				m.size = *size
			}
			m.Update(ks)
			checkView(t, m)
		}
	})
}

func TestClamp(t *testing.T) {
	for _, test := range []struct {
		width, height uint32
		want          Size
	}{
		{0, 0, Size{80, 24}}, {1, 1, Size{1, 1}}, {20000, 5000, MaxSize}, {1<<32 - 1, 1, Size{MaxSize.Width, 1}},
	} {
		if got := Clamp(test.width, test.height); got != test.want {
			t.Errorf("%d x %d: %v", test.width, test.height, got)
		}
	}
}

func TestCleanShowsWhatATerminalWouldObey(t *testing.T) {
	for in, want := range map[string]string{
		"a b":              "a b",
		"\x1b[2J":          `\x1b[2J`,
		"\u009b2J":         `\u009b2J`,
		"\x9b2J":           `\x9b2J`,
		"\ufffd[2J":        "?[2J",
		"B\u00fcro":        "B\u00fcro",
		"\u202etxt":        `\u202etxt`,
		"a\u0301":          `a\u0301`,
		"\u4e2d":           `\u4e2d`,
		"\r\n\t\x00\x7f\a": `\r\n\t\x00\x7f\a`,
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// checkView checks that each line is as wide as the screen, and has no more than
// the screen's own sequences.
func checkView(t *testing.T, m *model) {
	t.Helper()
	lines := strings.Split(m.View().Content, "\n")
	if len(lines) > m.size.Height {
		t.Fatalf("%d lines on %v", len(lines), m.size)
	}
	for _, l := range lines {
		plain := ansi.Strip(l)
		if n := len([]rune(plain)); n != m.size.Width {
			t.Fatalf("%v: %d columns: %q", m.size, n, plain)
		}
		if strings.ContainsFunc(plain, odd) && !strings.ContainsAny(plain, blocks[1:]) {
			t.Fatalf("%q", plain)
		}
	}
}

func TestEachLineFitsEverySize(t *testing.T) {
	for _, typed := range []string{"", "2", "3", "4", "5", "?", "\r", "o", "/lab"} {
		for width := 1; width <= MaxSize.Width; width += 1 + width/8 {
			for height := 1; height <= MaxSize.Height; height += 1 + height/8 {
				checkView(t, show(t, example(), Size{width, height}, typed))
			}
		}
	}
}

func TestOnlyAdminsChangeAnything(t *testing.T) {
	f := example()
	f.admin = false
	m := show(t, f, Size{80, 24}, "o", "y", "r")
	if len(f.offline) > 0 || f.rebuilt > 0 || !strings.Contains(m.View().Content, "may look") {
		t.Errorf("%v, %d rebuilt:\n%s", f.offline, f.rebuilt, m.View().Content)
	}
	f.admin = true
	show(t, f, Size{80, 24}, "o", "n", "o", "x", "\x1b[200~oy\x1b[201~")
	if len(f.offline) > 0 {
		t.Errorf("without a yes: %v", f.offline)
	}
	show(t, f, Size{80, 24}, "o", "y", "r")
	if !slices.Equal(f.offline, []string{"home.example.com"}) || f.rebuilt != 1 {
		t.Errorf("%v, %d rebuilt", f.offline, f.rebuilt)
	}
}

func TestTheChosenRowStaysChosen(t *testing.T) {
	f := example()
	m := show(t, f, Size{80, 24}, "\x1b[B")
	m.Update(hostsLoaded{hosts: append([]Host{{Name: "a.example.com"}}, f.hosts...)})
	if got := m.hosts.chosen(); got != "lab1.lab.example.com" {
		t.Errorf("%q is chosen", got)
	}
	m.Update(hostsLoaded{hosts: f.hosts[:1]})
	if got := m.hosts.chosen(); got != "home.example.com" {
		t.Errorf("%q is chosen", got)
	}
	m.Update(hostsLoaded{})
	if got := m.hosts.chosen(); got != "" {
		t.Errorf("%q is chosen", got)
	}
	checkView(t, m)
}

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

// manyHosts are n hosts by name.
func manyHosts(n int) []Host {
	hosts := make([]Host, n)
	for i := range hosts {
		hosts[i] = Host{fmt.Sprintf("host%06d.example.com", i), fmt.Sprintf("203.0.113.%d", i%256), noon.Add(-time.Duration(i*7919%n) * time.Second),
			noon, "router", "198.51.100.1"}
	}
	return hosts
}

// BenchmarkFilter is one more letter of a filter among 100,000 hosts, and the frame.
func BenchmarkFilter(b *testing.B) {
	f := example()
	f.hosts = manyHosts(100_000)
	m := show(b, f, Size{80, 24}, "/")
	for b.Loop() {
		m.Update(keys{{name: "9", char: '9'}})
		m.View()
		m.pane().setFilter("")
	}
}

// BenchmarkSort sorts 100,000 hosts by when they changed.
func BenchmarkSort(b *testing.B) {
	f := example()
	f.hosts = manyHosts(100_000)
	m := show(b, f, Size{80, 24})
	for b.Loop() {
		m.hosts.sort = 1
		m.Update(keys{{name: "s", char: 's'}})
		m.View()
	}
}

// BenchmarkSecond is what a screen costs that nobody touches.
func BenchmarkSecond(b *testing.B) {
	f := example()
	f.hosts = manyHosts(100_000)
	m := show(b, f, Size{80, 24})
	for b.Loop() {
		f.now.Time = f.now.Time.Add(time.Second)
		m.loadAgain[tabHosts] = f.now.Time.Add(time.Hour)
		m.Update(f.now)
		m.View()
	}
}
