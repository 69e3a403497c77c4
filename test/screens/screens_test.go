package screens

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// changing is what differs from run to run, and what stands in its place.
var changing = []struct {
	text *regexp.Regexp
	is   string
}{
	{regexp.MustCompile(`dnsgate \S+  up \d+s `), "dnsgate VERSION  up 0s "},
	{regexp.MustCompile(`\d\d:\d\d:\d\d`), "12:00:00"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT12:00:00Z`), "2026-11-28T12:00:00Z"},
	{regexp.MustCompile(` +\d+(ms|us|s)`), " 1s"},
	{regexp.MustCompile(`(?m)^(updates|accepted) .*$`), "$1 ..."},
	{regexp.MustCompile(`(?m)^\d+ connections.*$`), "connections ..."},
	{regexp.MustCompile(`SHA256:\S+`), "SHA256:..."},
	{regexp.MustCompile(`(?m) +$`), ""},
}

// golden compares a screen with what was kept of it.
func golden(t *testing.T, name, screen string) {
	t.Helper()
	for _, c := range changing {
		screen = c.text.ReplaceAllString(screen, c.is)
	}
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(screen), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if screen != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", path, screen, want)
	}
}

func (g *gateway) top(key, options string) string {
	return "ssh -t -F " + g.file("config") + " -i " + g.file(key) + " " + options + " gate top"
}

func TestKeysAndScreens(t *testing.T) {
	g := newGateway(t)
	s := g.sit(90, 24, g.top("operator", ""))
	golden(t, "hosts", s.sees("home.example.com", "nas.example.com", "? keys"))
	s.types("/", "n", "a", "s")
	golden(t, "filter", s.sees("1 of 3"))
	s.types("Enter", "Enter")
	golden(t, "open", s.sees("Records", "History"))
	s.types("Escape", "Escape", "3")
	golden(t, "keys", s.sees("FINGERPRINT", "evil ?[2J"))
	s.types("4")
	s.sees("COMMAND", "router")
	s.types("?")
	golden(t, "help", s.sees("publish everything anew"))
	s.types("?", "1", "o")
	s.sees("Take home.example.com offline?")
	s.types("y")
	s.sees("home.example.com is offline")
	if out := g.ssh("router", "list home.example.com"); out != "" {
		t.Errorf("it has records: %q", out)
	}
	s.types("q")
	s.sees("ended with 0")
}

// The commands of others are shown as they end.
func TestCommandsAsTheyHappen(t *testing.T) {
	g := newGateway(t)
	s := g.sit(100, 24, g.top("monitor", ""))
	s.sees("home.example.com")
	s.types("4", "/", "8", "8")
	s.sees("/88")
	s.types("Escape")
	g.ssh("router", "update nas.example.com 203.0.113.88")
	s.sees("update", "good", "nas.example.com", "router")
	s.types("1")
	s.sees("203.0.113.88")
	s.types("o")
	s.sees("may look, and no more")
}

// Followers stand among the publishers, and one that has gone stays.
func TestFollowers(t *testing.T) {
	g := newGateway(t)
	s := g.sit(120, 24, g.top("monitor", ""))
	s.sees("home.example.com")
	s.types("2")
	s.sees("tinydns")
	follower := exec.Command("ssh", "-F", g.file("config"), "-i", g.file("ns2"), "gate", "follow")
	in, err := follower.StdinPipe() // open: it stays
	if err != nil {
		t.Fatal(err)
	}
	if err := follower.Start(); err != nil {
		t.Fatal(err)
	}
	s.sees("follower ns2")
	in.Close()
	follower.Process.Kill()
	follower.Wait()
	golden(t, "followers", regexp.MustCompile(`(?m)^(. follower ns2 +)\d+ +\d+ +\d+ +`).ReplaceAllString(s.sees("the follower hung up"), "$1..."))
	s.types("q")
	s.sees("ended with 0")
}

func TestResize(t *testing.T) {
	g := newGateway(t)
	for _, command := range []string{g.top("operator", ""), g.dnsgate + " admin --config " + g.file("gate/dnsgate.toml") + " top"} {
		s := g.sit(80, 24, command)
		s.sees("home.example.com")
		s.tmux("resize-window", "-x", "120", "-y", "30")
		screen := s.sees("FROM", "q quit")
		for range 200 {
			if rows := strings.Split(strings.TrimRight(screen, "\n"), "\n"); len(rows) == 30 && strings.HasPrefix(rows[29], "? keys") {
				break
			}
			screen = s.screen()
		}
		s.tmux("resize-window", "-x", "20", "-y", "5")
		s.sees("HOST")
		s.tmux("resize-window", "-x", "80", "-y", "24")
		s.sees("home.example.com", "? keys")
		s.types("q")
		s.sees("ended with 0")
	}
}

// What is in a key's comment is shown, and not obeyed: neither here nor in the
// terminal's title.
func TestHostileComment(t *testing.T) {
	g := newGateway(t)
	for _, command := range []string{g.top("operator", ""), g.top("operator", "-o SetEnv=NO_COLOR=1"), "TERM=vt100 " + g.top("operator", "")} {
		s := g.sit(160, 24, command)
		s.sees("home.example.com", "evil ?[2J")
		s.types("3")
		s.sees("FINGERPRINT", "evil ?[2J?]0;owned? end")
		s.types("4")
		s.sees("evil ?[2J")
		if title := s.tmux("display-message", "-p", "#{pane_title}"); strings.Contains(title, "owned") {
			t.Errorf("the title is %q", title)
		}
		colours := s.tmux("capture-pane", "-p", "-e")
		if got, want := strings.Contains(colours, "\x1b[36m") || strings.Contains(colours, ";36m"), !strings.Contains(command, "NO_COLOR"); got != want {
			t.Errorf("%s: colours: %v\n%q", command, got, colours)
		}
		s.types("q")
		s.sees("ended with 0")
	}
}

func TestTerminalsThatCannotDraw(t *testing.T) {
	g := newGateway(t)
	s := g.sit(120, 40, "TERM=dumb "+g.top("operator", ""))
	screen := s.sees("3 hosts, 5 keys", "PUBLISHER", "ended with 0")
	if strings.Contains(screen, "q quit") {
		t.Errorf("it draws:\n%s", screen)
	}
	if out := g.ssh("operator", "top"); !strings.Contains(out, "tinydns") || strings.ContainsAny(out, "\x1b\r") {
		t.Errorf("without a terminal: %q", out)
	}
}

// A client that is killed leaves nothing behind, and its place.
func TestKilledClients(t *testing.T) {
	g := newGateway(t)
	for range 6 {
		s := g.sit(80, 24, "exec "+g.top("operator", ""))
		s.sees("home.example.com")
		s.tmux("kill-server")
	}
	s := g.sit(80, 24, g.top("operator", ""))
	s.sees("home.example.com", "1 connections")
}

// Long work on this machine shows how far it has come, on a terminal alone.
func TestProgress(t *testing.T) {
	g := newGateway(t)
	backup := g.file("backup")
	edit(t, backup, "", g.ssh("operator", "backup"))
	g.run(g.dnsgate, "init", g.file("other"))
	restore := g.dnsgate + " restore --config " + g.file("other/dnsgate.toml")
	slowly := "(head -c 100 " + backup + "; sleep 3; tail -c +101 " + backup + ")"
	s := g.sit(80, 24, slowly+" | "+restore)
	s.sees("0.0 MB/s")
	screen := s.sees("restored into", "ended with 0")
	if strings.Contains(screen, "MB/s") {
		t.Errorf("the bar stays:\n%s", screen)
	}
	g.run("rm", "-r", g.file("other/state"))
	if out := g.run("sh", "-c", slowly+" | "+restore); strings.Contains(out, "MB") {
		t.Errorf("without a terminal: %q", out)
	}
}
