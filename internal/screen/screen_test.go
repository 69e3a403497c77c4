package screen

import (
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

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
	m.hosts.set(append([]Host{{Name: "a.example.com"}}, f.hosts...))
	if got := m.hosts.chosen(); got != "lab1.lab.example.com" {
		t.Errorf("%q is chosen", got)
	}
	m.hosts.set(f.hosts[:1])
	if got := m.hosts.chosen(); got != "home.example.com" {
		t.Errorf("%q is chosen", got)
	}
	m.hosts.set(nil)
	if got := m.hosts.chosen(); got != "" {
		t.Errorf("%q is chosen", got)
	}
	checkView(t, m)
}
