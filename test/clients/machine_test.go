package clients_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// machine is a computer of its own, whose scripts can build from the source tree.
type machine struct {
	*rig.Machine
	name string
	env  []string
}

func newMachine(t *testing.T, name string) *machine {
	t.Helper()
	return &machine{Machine: rig.NewMachine(t, name), name: name, env: environment(t, "/root")}
}

// sh prepares a shell script on m, run in the folder of the source tree.
func (m *machine) sh(script string) *exec.Cmd {
	return m.Command(context.Background(), m.env, "sh", "-ec", "cd \"$SRC\"\n"+script)
}

// do runs a script that has to succeed, with text on its standard input.
func (m *machine) do(t *testing.T, script, stdin string) string {
	t.Helper()
	cmd := m.sh(script)
	cmd.Stdin = strings.NewReader(stdin)
	r := finish(t, cmd)
	if r.status != 0 {
		t.Fatalf("%s: %s: status %d\n%s%s", m.name, script, r.status, r.stdout, r.stderr)
	}
	return r.stdout
}

// background starts a program that runs until the test ends.
func (m *machine) background(t *testing.T, script string) {
	t.Helper()
	said := rig.Start(t, m.sh("exec "+script))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: %s said:\n%s", m.name, script, said)
		}
	})
}
