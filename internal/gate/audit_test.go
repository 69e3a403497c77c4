package gate_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"dnsgate/internal/gate"
	"dnsgate/test/rig"

	gossh "golang.org/x/crypto/ssh"
)

// TestAudit has ssh-audit compare the gateway with our policy, and wants it to
// find nothing to fail in the algorithms either, with the host keys that are no NIST curve's.
func TestAudit(t *testing.T) {
	rig.Needs(t, "ssh-audit")
	g := open(t)
	host, port, _ := net.SplitHostPort(g.addr)
	out, err := exec.Command("ssh-audit", "--policy=../../scripts/ssh-audit-policy.txt", "--port="+port, host).CombinedOutput()
	if err != nil {
		t.Errorf("the policy: %v\n%s", err, out)
	}
	g.recovered()
	for name, key := range map[string]gossh.Signer{"ed25519": g.hostKey, "rsa": rsaKey(t, 3072)} {
		g := open(t, func(o *gate.Options) { o.HostKeys = []gossh.Signer{key} })
		host, port, _ := net.SplitHostPort(g.addr)
		out, _ := exec.Command("ssh-audit", "--no-colors", "--port="+port, host).CombinedOutput()
		if !strings.Contains(string(out), "(gen) banner: SSH-2.0-dnsgate") {
			t.Errorf("%s: no report:\n%s", name, out)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "[fail]") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}

// TestNaiveFailsTheAudit shows that the audit finds something.
func TestNaiveFailsTheAudit(t *testing.T) {
	rig.Needs(t, "ssh-audit")
	host, port, _ := net.SplitHostPort(startNaive(t).addr)
	out, _ := exec.Command("ssh-audit", "--no-colors", "--port="+port, host).CombinedOutput()
	if !strings.Contains(string(out), "[fail]") {
		t.Errorf("the naive server is better than thought:\n%s", out)
	}
}

// TestPostQuantumOnly refuses a client that has only the older key exchange.
func TestPostQuantumOnly(t *testing.T) {
	g := open(t, func(o *gate.Options) { o.PostQuantumOnly = true })
	if err := dialRaw(t, g.addr).exchangeKeys(); err == nil {
		t.Error("curve25519 is accepted")
	}
	g.recovered()
	both := open(t)
	if err := dialRaw(t, both.addr).exchangeKeys(); err != nil {
		t.Errorf("curve25519: %v", err)
	}
}
