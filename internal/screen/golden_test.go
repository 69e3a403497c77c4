package screen

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// fixed is a Source of which nothing moves by itself.
type fixed struct {
	now     Now
	hosts   []Host
	admin   bool
	offline []string
	rebuilt int
}

func (f *fixed) Now(context.Context) (Now, error)      { return f.now, nil }
func (f *fixed) Hosts(context.Context) ([]Host, error) { return f.hosts, nil }
func (f *fixed) Keys(context.Context) ([]Key, error) {
	return []Key{
		{"SHA256:aaaa", "router", "home.example.com", noon.Add(-3 * time.Second), 12},
		{"SHA256:bbbb", "evil \x1b[2J\x1b]0;owned\a \u202etxt", ".lab.example.com", time.Time{}, 0},
		{"SHA256:cccc", "", "(admin)", noon.Add(-50 * time.Hour), 1},
	}, nil
}
func (f *fixed) Host(_ context.Context, name string) (Detail, error) {
	if name != "home.example.com" {
		return Detail{}, errors.New("nohost " + name + " has no records")
	}
	return Detail{name, []string{"home.example.com. 300 IN A 203.0.113.7"}, []string{"router SHA256:aaaa"},
		[]string{"2026-11-28T11:59:57Z 203.0.113.6 -> 203.0.113.7 SHA256:aaaa 198.51.100.1"}}, nil
}
func (f *fixed) MayChange() bool { return f.admin }
func (f *fixed) Offline(_ context.Context, name string) error {
	f.offline = append(f.offline, name)
	return nil
}
func (f *fixed) Rebuild(context.Context) error { f.rebuilt++; return nil }

func example() *fixed {
	updates := make([]int, 300)
	for i := range updates {
		updates[i] = i / 20
	}
	return &fixed{
		admin: true,
		now: Now{
			Time: noon, Started: noon.Add(-76 * time.Hour), Version: "v1.2.0", Revision: 4711, Hosts: 3, Keys: 3,
			Connections: 12, LoggingIn: 1, Sessions: 11, Accepted: 1000, Refused: 7, Penalized: 1,
			Updates: updates, Failures: make([]int, 300),
			Publishers: []Publisher{
				{Name: "tinydns", Revision: 4711},
				{Name: "rfc2136 dyn.example.com", Revision: 4700, Behind: 11, Pending: 2, Lag: 95 * time.Second, Error: "connection refused"},
				{Name: "follower ns2", Revision: 4709, Behind: 2, Lag: 300 * time.Millisecond},
				{Name: "follower evil \x1b[2J", Revision: 4000, Behind: 711, Lag: 5 * time.Minute, Error: "gone since 11:55:00: the follower did not read for 30s"},
				{Name: "gateway b.example.com", Revision: 4711, Lag: -1, Error: "has other authorized keys"},
			},
			Commands: []Command{
				{noon.Add(-3 * time.Second), "update", "good", "home.example.com", "router", "198.51.100.1", 2300 * time.Microsecond},
				{noon.Add(-4 * time.Second), "update", "nohost", "", "evil \x1b[2J", "2001:db8::1", 90 * time.Microsecond},
			},
			Penalties: []Penalty{{"192.0.2.1/32", noon.Add(90 * time.Second), "failed logins"}},
		},
		hosts: []Host{
			{"home.example.com", "203.0.113.7", noon.Add(-3 * time.Second), noon.Add(-3 * time.Second), "router", "198.51.100.1"},
			{"lab1.lab.example.com", "192.0.2.4,2001:db8::4", noon.Add(-26 * time.Hour), noon.Add(-2 * time.Hour), "evil \x1b[2J", "2001:db8::1"},
			{"nas.example.com", "203.0.113.9", time.Time{}, time.Time{}, "", ""},
		},
	}
}

// show is a screen of the source on which keys were typed.
func show(t testing.TB, f *fixed, size Size, typed ...string) *model {
	t.Helper()
	m := newModel(t.Context(), f, Terminal{Type: "xterm", Size: size})
	m.take(f.now)
	run(m, m.Init())
	var d decoder
	for _, text := range typed {
		ks, _ := d.decode([]byte(text))
		_, cmd := m.Update(ks)
		run(m, cmd)
	}
	return m
}

// run does what a command of the screen does, and what follows from that.
func run(m *model, cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil, tea.QuitMsg:
	case tea.BatchMsg:
		for _, c := range msg {
			run(m, c)
		}
	default:
		_, next := m.Update(msg)
		run(m, next)
	}
}

func TestScreens(t *testing.T) {
	usual := Size{80, 24}
	for _, test := range []struct {
		name  string
		size  Size
		typed []string
	}{
		{"hosts", usual, nil},
		{"hosts-wide", Size{120, 24}, nil},
		{"hosts-tiny", Size{40, 10}, nil},
		{"hosts-sorted", usual, []string{"sss"}},
		{"hosts-turned", usual, []string{"S"}},
		{"filter-typing", usual, []string{"/LAB"}},
		{"filter-kept", usual, []string{"/lab\r"}},
		{"filter-pasted", usual, []string{"/\x1b[200~nas\x1b[201~"}},
		{"open", usual, []string{"\r"}},
		{"confirm", usual, []string{"\x1b[Bo"}},
		{"offline", usual, []string{"\x1b[B", "o", "y"}},
		{"rebuilt", usual, []string{"r"}},
		{"publishers", usual, []string{"2"}},
		{"keys", usual, []string{"3"}},
		{"commands", usual, []string{"\t\t\t"}},
		{"penalties", usual, []string{"\x1b[Z"}},
		{"help", usual, []string{"?"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			view := show(t, example(), test.size, test.typed...).View().Content
			golden(t, test.name, ansi.Strip(view))
		})
	}
	t.Run("snapshot", func(t *testing.T) { golden(t, "snapshot", example().now.Snapshot()) })
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	var b strings.Builder
	for line := range strings.Lines(got) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	got = b.String()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
	}
}
