package screens

import (
	"os/exec"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

func TestResize(t *testing.T) {
	g := newGateway(t)
	for _, command := range []string{g.top("operator", ""), g.localTop()} {
		s := sit(t, 80, 24, command)
		s.sees("home.example.com")
		s.resize(120, 30)
		s.isDrawn(30)
		s.resize(20, 5)
		s.sees("HOST")
		for n := range 100 { // as fast as it goes
			s.resize(20+n*7919%280, 5+n*104729%95)
		}
		s.resize(80, 24)
		s.isDrawn(24)
		s.leaves()
	}
}

// isDrawn waits until the screen fills its rows.
func (s *terminal) isDrawn(rows int) {
	s.Helper()
	s.shows("drawn on all rows", func(screen string) bool {
		lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
		return len(lines) == rows && strings.HasPrefix(lines[rows-1], "? keys") && strings.Contains(screen, "home.example.com")
	})
}

// A paste of a megabyte does nothing, with and without brackets around it, and the
// screen goes on.
func TestPaste(t *testing.T) {
	g := newGateway(t)
	rig.Write(t, g.of("paste"), strings.Repeat("oyrq\n", 1<<20/5), 0o600)
	for _, brackets := range []bool{true, false} {
		s := sit(t, 80, 24, g.top("operator", ""))
		s.sees("home.example.com")
		s.tmux("load-buffer", g.of("paste"))
		if brackets {
			s.tmux("paste-buffer", "-p")
		} else {
			s.types("/") // or "q" would leave
			s.sees("/_")
			s.tmux("paste-buffer", "-s", "x") // between lines, in place of Enter
			s.sees("/oyrqxoyrq")
			s.types("Escape")
		}
		s.types("2")
		s.sees("PUBLISHER")
		s.leaves()
		if out := g.ssh("router", "list home.example.com"); out == "" {
			t.Error("the paste was obeyed")
		}
	}
}

// The comment of a key is shown, and not obeyed: neither on the screen nor in the title
// of the terminal.
func TestHostileComment(t *testing.T) {
	g := newGateway(t)
	for _, command := range []string{
		g.top("operator", ""), g.top("operator", "-o SetEnv=NO_COLOR=1"), "TERM=vt100 " + g.top("operator", ""),
		g.localTop(), "NO_COLOR=1 " + g.localTop(),
	} {
		s := sit(t, 160, 24, command)
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
		s.leaves()
	}
}

// Where nothing can be drawn there is one snapshot, as plain text.
func TestTerminalsThatCannotDraw(t *testing.T) {
	g := newGateway(t)
	for _, command := range []string{g.top("operator", ""), g.localTop()} {
		screen := sit(t, 120, 40, "TERM=dumb "+command).sees("3 hosts, 5 keys", "PUBLISHER", "ended with 0")
		if strings.Contains(screen, "q quit") {
			t.Errorf("it draws:\n%s", screen)
		}
	}
	for _, out := range []string{g.ssh("operator", "top"), g.Must(t, "", "admin", g.Config(), "top")} {
		if !strings.Contains(out, "tinydns") || strings.ContainsAny(out, "\x1b\r") {
			t.Errorf("without a terminal: %q", out)
		}
	}
}

// The place of a client that is killed becomes free.
func TestKilledClients(t *testing.T) {
	g := newGateway(t)
	for range 6 {
		s := sit(t, 80, 24, "exec "+g.top("operator", ""))
		s.sees("home.example.com")
		rig.Must(t, exec.Command("tmux", "-S", s.socket, "kill-server").Run())
	}
	s := sit(t, 80, 24, g.top("operator", ""))
	s.sees("home.example.com", "1 connections")
	s.leaves()
}
