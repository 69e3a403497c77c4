package screens

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dnsgate/test/rig"
)

// terminal is one of a tmux server of its own, in which a shell command runs.
type terminal struct {
	*testing.T
	socket string
}

// sit begins a command in a terminal of so many columns and rows.
func sit(t *testing.T, columns, rows int, command string) *terminal {
	t.Helper()
	s := &terminal{t, filepath.Join(t.TempDir(), "tmux")}
	s.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(rows), command+"; echo ended with $?; exec sleep 1000")
	t.Cleanup(func() { exec.Command("tmux", "-S", s.socket, "kill-server").Run() })
	return s
}

func (s *terminal) tmux(words ...string) string {
	s.Helper()
	return rig.Command(s, append([]string{"tmux", "-S", s.socket}, words...)...)
}

func (s *terminal) types(keys ...string) {
	s.Helper()
	s.tmux(append([]string{"send-keys"}, keys...)...)
}

func (s *terminal) screen() string { return s.tmux("capture-pane", "-p") }

func (s *terminal) resize(columns, rows int) {
	s.Helper()
	s.tmux("resize-window", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(rows))
}

// leaves ends the screen, and expects that it says no error.
func (s *terminal) leaves() {
	s.Helper()
	s.types("q")
	s.sees("ended with 0")
}

// sees waits until the screen has all of these texts, and returns it.
func (s *terminal) sees(texts ...string) string {
	s.Helper()
	return s.shows(fmt.Sprintf("%q", texts), func(screen string) bool {
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	})
}

// shows waits until the screen is as it should be, and returns it.
func (s *terminal) shows(what string, is func(screen string) bool) string {
	s.Helper()
	screen := ""
	for end := time.Now().Add(rig.Long); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if screen = s.screen(); is(screen) {
			return screen
		}
	}
	s.Fatalf("the screen is not %s:\n%s", what, screen)
	return ""
}
