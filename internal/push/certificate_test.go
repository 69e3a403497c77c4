package push

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// TestCertificate pushes with the certificate that stands beside the key, as the
// script does, and from an agent.
func TestCertificate(t *testing.T) {
	t.Parallel()
	rig.Needs(t, "ssh-keygen", "ssh-agent", "ssh-add")
	m := newMachine(t)
	g := newGate(t, m)
	rig.Command(t, dnsgate, "key", "remove", "--config", g.dir+"/dnsgate.toml", m.dir+"/id.pub")
	rig.Command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ca", "-f", m.dir+"/ca")
	g.allow(t, m.read(t, "ca.pub"), "--ca", ".example.test")
	m.configure(t)
	agent := strings.Fields(rig.Command(t, "ssh-agent", "-s", "-a", m.dir+"/agent"))
	t.Cleanup(func() {
		for _, word := range agent {
			if pid, ok := strings.CutPrefix(word, "SSH_AGENT_PID="); ok {
				rig.Command(t, "kill", strings.TrimSuffix(pid, ";"))
			}
		}
	})
	withAgent := func(args ...string) rig.Result {
		cmd := m.command(t.Context(), append([]string{"--agent"}, args...)...)
		cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+m.dir+"/agent")
		return rig.Finish(t, cmd)
	}
	ways := map[string]func(args ...string) rig.Result{
		"binary": func(args ...string) rig.Result { return m.push(t, args...) },
		"script": func(args ...string) rig.Result { return m.script(t, args...) },
		"agent":  withAgent,
	}
	for way, push := range ways {
		if way != "agent" { // it holds no key yet
			wait(t, way+" is refused without a certificate", func() bool { return push("--force", "203.0.113.7").Status == 77 })
		}
	}
	rig.Command(t, "ssh-keygen", "-q", "-s", m.dir+"/ca", "-I", "one", "-n", "one.example.test", m.dir+"/id.pub")
	add := m.command(t.Context())
	add.Path, add.Args, add.Env = "/usr/bin/ssh-add", []string{"ssh-add", "-q", m.dir + "/id"}, append(os.Environ(), "SSH_AUTH_SOCK="+m.dir+"/agent")
	rig.Finish(t, add).Expect(t, 0)
	for way, push := range ways {
		push("-v", "--force", "203.0.113.7").Expect(t, 0, "203.0.113.7 one.example.test")
		if t.Failed() {
			t.Fatal(way)
		}
	}
	for content, says := range map[string]string{
		"nonsense":              "not a certificate as ssh-keygen -s makes it",
		m.read(t, "ca.pub"):     "a plain key, not a certificate",
		certificateOf(t, m.dir): "certifies another key",
	} {
		rig.Write(t, m.dir+"/id-cert.pub", content, 0o644)
		m.push(t, "--force", "203.0.113.7").Expect(t, 78, says)
	}
}

// certificateOf is a certificate for another key.
func certificateOf(t *testing.T, dir string) string {
	rig.Command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/other")
	rig.Command(t, "ssh-keygen", "-q", "-s", dir+"/ca", "-I", "other", "-n", "one.example.test", dir+"/other.pub")
	text, err := os.ReadFile(filepath.Join(dir, "other-cert.pub"))
	rig.Must(t, err)
	return string(text)
}
