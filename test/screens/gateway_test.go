package screens

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// gateway is a dnsgate with three hosts, and people with keys of their own: among them an
// operator, and somebody whose comment is hostile.
type gateway struct {
	*rig.Gateway
	t      *testing.T
	people string // folder of their keys
}

// hostile is a comment that somebody chose who asked for a key to be added.
const hostile = "evil \x1b[2J\x1b]0;owned\a end"

func newGateway(t *testing.T, oldNew ...string) *gateway {
	t.Helper()
	rig.Needs(t, "tmux", "ssh")
	g := &gateway{rig.NewGateway(t, "example.com", oldNew...), t, t.TempDir()}
	var keys strings.Builder
	for _, k := range []struct{ name, grant, comment string }{
		{"operator", "admin", "operator"}, {"monitor", "monitor", "monitor"},
		{"evil", "allow --private lab.example.com", hostile}, {"router", "allow home.example.com nas.example.com", "router"},
		{"ns2", "follow .example.com", "ns2"},
	} {
		rig.Keygen(t, g.of(k.name))
		public := strings.Fields(rig.Read(t, g.of(k.name+".pub")))
		fmt.Fprintf(&keys, "command=\"dnsgate %s\" %s %s %s\n", k.grant, public[0], public[1], k.comment)
	}
	rig.Write(t, g.Path("authorized_keys"), keys.String(), 0o600)
	g.Start(t)
	t.Cleanup(func() {
		if log := g.Log(); strings.Contains(log, "panic") {
			t.Errorf("it panicked:\n%s", log)
		}
	})
	rig.Write(t, g.of("known_hosts"), "gate "+g.HostKey(t), 0o600)
	rig.Write(t, g.of("config"), fmt.Sprintf("Host gate\nHostName 127.0.0.1\nPort %s\nHostKeyAlias gate\nUserKnownHostsFile %s\nIdentitiesOnly yes\nBatchMode yes\nLogLevel ERROR\n",
		g.Port(), g.of("known_hosts")), 0o600)
	g.ssh("router", "update home.example.com 203.0.113.7")
	g.ssh("router", "update nas.example.com 203.0.113.9 2001:db8:0:1::9")
	g.ssh("evil", "update 192.168.1.4")
	return g
}

// of is a file of the people.
func (g *gateway) of(name string) string { return filepath.Join(g.people, name) }

// ssh runs a command with the key of one of them.
func (g *gateway) ssh(name, line string) string {
	g.t.Helper()
	return rig.Command(g.t, "ssh", "-F", g.of("config"), "-i", g.of(name), "gate", line)
}

// top is the shell command of somebody who looks.
func (g *gateway) top(name, options string) string {
	return "ssh -t -F " + g.of("config") + " -i " + g.of(name) + " " + options + " gate top"
}

// localTop is the same on the gateway's machine.
func (g *gateway) localTop() string { return g.Program + " admin " + g.Config() + " top" }

// revoke removes the line of one of them from authorized_keys.
func (g *gateway) revoke(name string) {
	g.t.Helper()
	var keys strings.Builder
	for line := range strings.Lines(rig.Read(g.t, g.Path("authorized_keys"))) {
		if !strings.HasSuffix(line, " "+name+"\n") {
			keys.WriteString(line)
		}
	}
	rig.Must(g.t, os.WriteFile(g.Path("authorized_keys"), []byte(keys.String()), 0o600))
}
