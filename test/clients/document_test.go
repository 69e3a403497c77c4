package clients_test

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"dnsgate/test/rig"
)

// part is what a document has below one heading: its shell blocks, in order.
type part struct {
	heading string // without the #
	level   int    // how many # it had
	blocks  []string
}

// read takes a document of this repository apart. What stands before the
// first heading of level 2 belongs to the title.
func read(t *testing.T, file string) []part {
	t.Helper()
	text, err := os.ReadFile(rig.Source(t, file))
	rig.Must(t, err)
	var parts []part
	var block *strings.Builder
	for line := range strings.Lines(string(text)) {
		marks := line[:len(line)-len(strings.TrimLeft(line, "#"))]
		switch {
		case block != nil && line == "```\n":
			last := &parts[len(parts)-1]
			last.blocks = append(last.blocks, block.String())
			block = nil
		case block != nil:
			block.WriteString(line)
		case line == "```sh\n":
			block = new(strings.Builder)
		case marks != "" && strings.HasPrefix(line, marks+" "):
			parts = append(parts, part{heading: strings.TrimSpace(line[len(marks):]), level: len(marks)})
		}
	}
	if block != nil || len(parts) == 0 {
		t.Fatalf("%s: a block has no end, or there is no heading", file)
	}
	return parts
}

// clipboard has the lines that a document says to paste, as its commands showed them.
type clipboard struct{ key, knownHosts string }

var knownHosts = regexp.MustCompile(`(?m)^ *(\[gate\.example\.com\]:2222 ssh-ed25519 .*\n)`)

// do runs a block of a document, pastes what the block asks for, and copies what it shows.
func (c *clipboard) do(t *testing.T, m *machine, block string) string {
	t.Helper()
	pasted := ""
	switch {
	case strings.Contains(block, "dnsgate key add"):
		pasted = c.key
	case strings.HasPrefix(block, "cat >/etc/dnsgate/known_hosts"):
		pasted = c.knownHosts
	}
	said := m.do(t, block, pasted)
	if strings.HasPrefix(said, "ssh-ed25519 ") {
		c.key = said
	}
	if line := knownHosts.FindStringSubmatch(said); line != nil {
		c.knownHosts = line[1]
	}
	return said
}

// result is what a command left behind.
type result struct {
	stdout, stderr string
	status         int
}

// finish runs a command to its end, for a minute at most.
func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 5 * time.Second // a child may keep stdout open
	rig.Must(t, cmd.Start())
	limit := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer limit.Stop()
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}
