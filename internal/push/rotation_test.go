package push

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestHostKeyChanges changes the gateway's host key under clients that have both
// lines in known_hosts, as the binary, the script and each program that it uses.
func TestHostKeyChanges(t *testing.T) {
	t.Parallel()
	needs(t, "ssh-keygen", "ssh", "dbclient", "dropbearconvert", "plink", "puttygen")
	m := newMachine(t)
	g := newGate(t, m)
	run(t, "dropbearconvert", "openssh", "dropbear", m.dir+"/id", m.dir+"/id.dbclient")
	run(t, "puttygen", m.dir+"/id", "-o", m.dir+"/id.plink")
	run(t, dnsgate, "hostkey", "new", g.dir+"/next")
	old := run(t, "ssh-keygen", "-y", "-f", g.dir+"/ssh_host_ed25519_key")
	next := run(t, "ssh-keygen", "-y", "-f", g.dir+"/next")
	name := "[127.0.0.1]:" + g.port + " "
	write(t, m.dir+"/known_hosts", name+old+name+next, 0o644)

	ways := map[string]func(args ...string) result{"binary": func(args ...string) result {
		m.configure(t)
		return m.push(t, args...)
	}}
	for client, key := range map[string]string{"openssh": "", "dbclient": "key " + m.dir + "/id.dbclient", "plink": "key " + m.dir + "/id.plink"} {
		ways[client] = func(args ...string) result {
			base := m.base
			if key != "" {
				base = strings.Replace(base, "key "+m.dir+"/id", key, 1)
			}
			write(t, m.config, base+"client "+client+"\n", 0o644)
			return m.script(t, args...)
		}
	}
	for _, keys := range []string{`"ssh_host_ed25519_key"`, `"ssh_host_ed25519_key", "next"`, `"next", "ssh_host_ed25519_key"`, `"next"`} {
		g.stop()
		g.hostKeys(t, keys)
		g.serve(t)
		for way, push := range ways {
			if r := push("-v", "--force", "203.0.113.7"); r.status != 0 {
				t.Errorf("%s, with the host keys %s: %d\n%s%s", way, keys, r.status, r.stdout, r.stderr)
			}
		}
	}
	m.pin(t, "[127.0.0.1]:"+g.port, old)
	for way, push := range ways {
		if r := push("--force", "203.0.113.7"); r.status != 78 || !strings.Contains(r.stderr, "host key") {
			t.Errorf("%s, with the old key alone: %d\n%s%s", way, r.status, r.stdout, r.stderr)
		}
	}
}

func (g *gate) hostKeys(t *testing.T, keys string) {
	t.Helper()
	file := g.dir + "/dnsgate.toml"
	text, err := os.ReadFile(file)
	must(t, err)
	text = regexp.MustCompile(`(?m)^host_keys .*`).ReplaceAll(text, []byte("host_keys = ["+keys+"]"))
	must(t, os.WriteFile(file, text, 0o600))
}
