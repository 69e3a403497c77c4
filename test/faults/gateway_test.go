package faults

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dnsgate/test/rig"

	"golang.org/x/crypto/ssh"
)

func TestMain(m *testing.M) { rig.Main(m) }

const zone = "dyn.example.com"

// gateway is one with a key for every host of the zone, and an operator's.
type gateway struct {
	*rig.Gateway
	user, admin ssh.Signer
}

// newGateway makes a set-up; oldNew are replacements in its dnsgate.toml.
func newGateway(t *testing.T, oldNew ...string) *gateway {
	t.Helper()
	return setUp(t, filepath.Join(t.TempDir(), "gate"), oldNew...)
}

func setUp(t *testing.T, dir string, oldNew ...string) *gateway {
	t.Helper()
	g := &gateway{Gateway: rig.NewGatewayAt(t, dir, zone, append([]string{"updates_per_minute = 30 ", "updates_per_minute = 1000000 "}, oldNew...)...)}
	g.user = g.Authorize(t, "."+zone)
	g.admin = g.Authorize(t, "--admin")
	return g
}

// wants runs one command and wants its reply to begin with code.
func (g *gateway) wants(t *testing.T, key ssh.Signer, command, code string) string {
	t.Helper()
	out, _ := g.Say(key, command)
	if word, _, _ := strings.Cut(out, " "); word != code {
		t.Fatalf("%s: %q, not %s\n%s", command, out, code, g.Log())
	}
	return out
}

// eventually tries a command until its reply begins with code.
func (g *gateway) eventually(t *testing.T, key ssh.Signer, command, code string) {
	t.Helper()
	var out string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		out, _ = g.Say(key, command)
		if word, _, _ := strings.Cut(out, " "); word == code {
			return
		}
	}
	t.Fatalf("%s: never %s, last %q\n%s", command, code, out, g.Log())
}
