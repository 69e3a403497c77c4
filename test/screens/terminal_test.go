package screens

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// terminal is one of a tmux server of its own, in which a shell command runs.
type terminal struct {
	*testing.T
	socket string
}

// sit begins a command in a terminal of so many columns and rows.
func (g *gateway) sit(columns, rows int, command string) *terminal {
	g.Helper()
	t := &terminal{g.T, g.file(fmt.Sprintf("tmux%d", time.Now().UnixNano()))}
	t.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(rows), command+"; echo ended with $?; exec sleep 1000")
	g.Cleanup(func() { exec.Command("tmux", "-S", t.socket, "kill-server").Run() })
	return t
}

func (t *terminal) tmux(words ...string) string {
	t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", t.socket}, words...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("tmux %v: %v\n%s", words, err, out)
	}
	return string(out)
}

func (t *terminal) types(keys ...string) { t.tmux(append([]string{"send-keys"}, keys...)...) }

func (t *terminal) screen() string { return t.tmux("capture-pane", "-p") }

// sees waits until the screen has all of these texts, and returns it.
func (t *terminal) sees(texts ...string) string {
	t.Helper()
	screen := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		screen = t.screen()
		missing := false
		for _, text := range texts {
			missing = missing || !strings.Contains(screen, text)
		}
		if !missing {
			return screen
		}
	}
	t.Fatalf("not all of %q is shown:\n%s", texts, screen)
	return ""
}
