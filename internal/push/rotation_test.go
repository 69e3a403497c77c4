package push

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// TestHostKeyChanges changes the gateway's host key under clients that have both
// lines in known_hosts, as the binary, the script and each program that it uses.
func TestHostKeyChanges(t *testing.T) {
	t.Parallel()
	rig.Needs(t, "ssh-keygen", "ssh", "dbclient", "dropbearconvert", "plink", "puttygen")
	m := newMachine(t)
	g := newGate(t, m)
	rig.Command(t, "dropbearconvert", "openssh", "dropbear", m.dir+"/id", m.dir+"/id.dbclient")
	rig.Command(t, "puttygen", m.dir+"/id", "-o", m.dir+"/id.plink")
	rig.Command(t, dnsgate, "hostkey", "new", g.dir+"/next")
	old := rig.Command(t, "ssh-keygen", "-y", "-f", g.dir+"/ssh_host_ed25519_key")
	next := rig.Command(t, "ssh-keygen", "-y", "-f", g.dir+"/next")
	name := "[127.0.0.1]:" + g.port + " "
	rig.Write(t, m.dir+"/known_hosts", name+old+name+next, 0o644)

	ways := map[string]func(args ...string) rig.Result{"binary": func(args ...string) rig.Result {
		m.configure(t)
		return m.push(t, args...)
	}}
	for client, key := range map[string]string{"openssh": "", "dbclient": "key " + m.dir + "/id.dbclient", "plink": "key " + m.dir + "/id.plink"} {
		ways[client] = func(args ...string) rig.Result {
			base := m.base
			if key != "" {
				base = strings.Replace(base, "key "+m.dir+"/id", key, 1)
			}
			rig.Write(t, m.config, base+"client "+client+"\n", 0o644)
			return m.script(t, args...)
		}
	}
	for _, keys := range []string{`"ssh_host_ed25519_key"`, `"ssh_host_ed25519_key", "next"`, `"next", "ssh_host_ed25519_key"`, `"next"`} {
		g.stop()
		g.hostKeys(t, keys)
		g.serve(t)
		for way, push := range ways {
			if r := push("-v", "--force", "203.0.113.7"); r.Status != 0 {
				t.Errorf("%s, with the host keys %s: %d\n%s%s", way, keys, r.Status, r.Stdout, r.Stderr)
			}
		}
	}
	m.pin(t, "[127.0.0.1]:"+g.port, old)
	for way, push := range ways {
		if r := push("--force", "203.0.113.7"); r.Status != 78 || !strings.Contains(r.Stderr, "host key") {
			t.Errorf("%s, with the old key alone: %d\n%s%s", way, r.Status, r.Stdout, r.Stderr)
		}
	}
}

func (g *gate) hostKeys(t *testing.T, keys string) {
	t.Helper()
	file := g.dir + "/dnsgate.toml"
	text, err := os.ReadFile(file)
	rig.Must(t, err)
	text = regexp.MustCompile(`(?m)^host_keys .*`).ReplaceAll(text, []byte("host_keys = ["+keys+"]"))
	rig.Must(t, os.WriteFile(file, text, 0o600))
}
