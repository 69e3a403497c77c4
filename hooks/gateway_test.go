package hooks_test

import (
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// equip makes home's key and push.conf those of an ssh client.
func (n *network) equip(t *testing.T, program string, conf ...string) {
	t.Helper()
	const key = "/etc/dnsgate/id_ed25519"
	switch program {
	case "dbclient":
		n.home.Must(t, "dropbearconvert", "openssh", "dropbear", key, key+".dbclient")
	case "plink":
		n.home.Must(t, "puttygen", key, "-O", "private", "-o", key+".plink")
	default:
		n.home.Must(t, "cp", "-p", key, key+".openssh")
	}
	n.home.Must(t, "chmod", "600", key+"."+program)
	n.configure(t, append([]string{"client " + program, "key " + key + "." + program, "retry 0"}, conf...)...)
}

// TestClients does all that the script can do, with each client under each
// shell.
func TestClients(t *testing.T) {
	rig.Needs(t, "ssh", "dbclient", "dropbearconvert", "plink", "puttygen")
	for _, program := range []string{"openssh", "dbclient", "plink"} {
		for shell, command := range shells {
			t.Run(program+" "+shell, func(t *testing.T) {
				n := newNetwork(t)
				n.equip(t, program)
				push := func(status int, want string, args ...string) {
					t.Helper()
					r := n.home.Run(t, append(append(command, "/usr/local/bin/dnsgate-push", "-v"), args...)...)
					r.Expect(t, status)
					if !strings.Contains(r.Stdout+r.Stderr, want) {
						t.Errorf("%q: no %q in\n%s%s", args, want, r.Stdout, r.Stderr)
					}
				}
				push(0, "good 203.0.113.7,2001:db8::7 home.example.test", "203.0.113.7", "2001:db8::7")
				push(0, "2001:db8::7 was acknowledged", "203.0.113.7", "2001:db8::7")
				push(0, "nochg ", "--force", "203.0.113.7", "2001:db8::7")
				push(0, "good 203.0.113.8", "--dry-run", "203.0.113.8")
				n.expect(t, "A 203.0.113.7, AAAA 2001:db8::7")
				push(0, "good ", "203.0.113.8")
				n.expect(t, "A 203.0.113.8, AAAA 2001:db8::7")
				push(0, "good ", "2001:db8:5:6::/64")
				n.expect(t, "A 203.0.113.8, AAAA 2001:db8:5:6::7")
				push(0, "good - home.example.test", "--offline", "-4")
				n.expect(t, "AAAA 2001:db8:5:6::7")
				push(0, "good ", "203.0.113.8")
				push(0, "good - home.example.test", "--offline")
				n.expect(t, "")

				push(0, "good ", "-6")
				n.expect(t, "AAAA "+home6)
				push(0, "good ")
				n.expect(t, "A "+home4+", AAAA "+home6)
				push(0, "good ", "--offline")

				push(0, "good home.example.test", "--acme", "add", "_acme-challenge.home.example.test.", "one-1")
				push(0, "good home.example.test", "--acme", "add", "*.home.example.test", "two_2")
				n.expect(t, "_acme-challenge.home.example.test. TXT \"one-1\", _acme-challenge.home.example.test. TXT \"two_2\"")
				push(0, "good home.example.test", "--acme", "del", "home.example.test", "one-1")
				push(0, "good home.example.test", "--acme", "del", "home.example.test", "two_2")
				n.expect(t, "")

				push(77, "refused: nohost ", "--host", "home.example.test", "--host", "other.example.test", "203.0.113.7")
				push(65, "is a private address", "10.0.0.7")
				n.equip(t, program, "private yes")
				push(65, "refused: badaddr ", "10.0.0.7")
				n.expect(t, "")
			})
		}
	}
}

// TestWrongKeys checks that a host key other than the pinned one, and a client
// key that the gateway does not know, end a push at once.
func TestWrongKeys(t *testing.T) {
	rig.Needs(t, "ssh", "dbclient", "dropbearconvert", "plink", "puttygen")
	for _, program := range []string{"openssh", "dbclient", "plink"} {
		t.Run(program, func(t *testing.T) {
			n := newNetwork(t)
			right := n.home.Must(t, "cat", "/etc/dnsgate/known_hosts")
			n.home.Must(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/other")
			wrong := "[gate.example.test]:2222 " + n.home.Must(t, "cat", "/root/other.pub")
			n.home.Write(t, "/etc/dnsgate/known_hosts", wrong, 0o644)
			n.equip(t, program)
			n.push(t, "--retry", "60", "203.0.113.7").Expect(t, 78, "the host key is not the one in /etc/dnsgate/known_hosts")

			n.home.Write(t, "/etc/dnsgate/known_hosts", right, 0o644)
			n.home.Must(t, "mv", "/root/other", "/etc/dnsgate/id_ed25519")
			n.equip(t, program)
			n.push(t, "--retry", "60", "203.0.113.7").Expect(t, 77, "does not accept the key")
			n.home.Must(t, "sed", "-i", "s/^gateway .*/gateway GATE.Example.test./", "/etc/dnsgate/push.conf")
			n.push(t, "--retry", "60", "203.0.113.7").Expect(t, 77, "does not accept the key") // ssh says it in small letters
		})
	}
}

func TestHostKeyAlias(t *testing.T) {
	rig.Needs(t, "ssh", "dbclient", "dropbearconvert", "plink", "puttygen")
	n := newNetwork(t)
	key := strings.Fields(n.home.Must(t, "cat", "/etc/dnsgate/known_hosts"))
	n.home.Write(t, "/etc/dnsgate/known_hosts", "# the gateway\nother,the-gate "+key[1]+" "+key[2]+" a comment\n", 0o644)
	for _, program := range []string{"openssh", "dbclient", "plink"} {
		n.equip(t, program)
		n.push(t, "203.0.113.7").Expect(t, 78)
		n.equip(t, program, "host_key_alias the-gate")
		n.push(t, "--force", "203.0.113.7").Expect(t, 0)
	}
}

// TestAcknowledged checks when the note of what was acknowledged is there: after
// good and nochg, and neither before nor after anything else.
func TestAcknowledged(t *testing.T) {
	n := newNetwork(t, "retry 0")
	noted := func(want string) {
		t.Helper()
		const folder = "/var/lib/dnsgate-push/gate.example.test:2222/home.example.test"
		got := strings.Fields(n.home.Must(t, "sh", "-c", "cat "+folder+"/acked4 || :"))
		if len(got) > 0 {
			got = got[1:]
		}
		if strings.Join(got, " ") != want {
			t.Errorf("noted %q, want %q", got, want)
		}
		if r := n.home.Run(t, "ls", folder); strings.Contains(r.Stdout, ".") {
			t.Errorf("left behind: %s", r.Stdout)
		}
	}
	n.push(t, "--dry-run", "203.0.113.7").Expect(t, 0)
	noted("")
	n.push(t, "203.0.113.7").Expect(t, 0)
	noted("203.0.113.7")
	n.push(t, "2001:db8::7").Expect(t, 0)
	noted("203.0.113.7")
	n.push(t, "--dry-run", "203.0.113.8").Expect(t, 0)
	noted("203.0.113.7")
	n.stop()
	n.push(t, "203.0.113.7").Expect(t, 0) // fresh: nobody was asked
	n.push(t, "203.0.113.8").Expect(t, 75)
	noted("")
	n.serve(t)
	n.push(t, "203.0.113.7", "203.0.113.8").Expect(t, 0)
	noted("203.0.113.7,203.0.113.8")
	n.push(t, "--offline").Expect(t, 0)
	noted("")
}

// TestFresh checks that a note that is too old, from the future or not one of
// ours makes no difference.
func TestFresh(t *testing.T) {
	n := newNetwork(t, "retry 0", "fresh 100")
	const note = "/var/lib/dnsgate-push/gate.example.test:2222/home.example.test/acked4"
	n.push(t, "203.0.113.7").Expect(t, 0)
	for content, asks := range map[string]bool{
		"$(($(date +%s) - 50)) 203.0.113.7":             false,
		"$(($(date +%s) - 101)) 203.0.113.7":            true,
		"$(($(date +%s) + 500)) 203.0.113.7":            true,
		"$(($(date +%s) - 50)) 203.0.113.7,203.0.113.8": true,
		"$(($(date +%s) - 50))":                         true,
		"":                                              true,
		"0755 203.0.113.7":                              true,
		"x[$(id)] 203.0.113.7":                          true,
	} {
		n.home.Must(t, "sh", "-c", "echo \""+content+"\" >"+note)
		if r := n.push(t, "-v", "203.0.113.7"); strings.Contains(r.Stdout, "nochg") != asks || r.Status != 0 {
			t.Errorf("%q: status %d\n%s%s", content, r.Status, r.Stdout, r.Stderr)
		}
	}
}

// TestGatewayComesBack checks that a push waits for a gateway that is away.
func TestGatewayComesBack(t *testing.T) {
	n := newNetwork(t)
	n.stop()
	said := n.home.Start(t, rig.Path, "/usr/local/bin/dnsgate-push", "-v", "--retry", "120", "203.0.113.7")
	rig.Wait(t, "a second try", func() bool { return strings.Count(said.String(), "sending") > 1 })
	n.serve(t)
	n.expect(t, "A 203.0.113.7")
}

// TestLateOffline takes a host's address away while there is no way to the
// gateway, and gives it another before there is one.
func TestLateOffline(t *testing.T) {
	n := newNetwork(t)
	n.push(t, "203.0.113.7").Expect(t, 0)
	n.home.Must(t, "ip", "link", "set", "eth0", "down")
	n.push(t, "--detach", "--offline", "-4").Expect(t, 0)
	n.push(t, "--detach", "203.0.113.8").Expect(t, 0)
	n.home.Must(t, "ip", "link", "set", "eth0", "up")
	n.home.Must(t, "sh", "-c", "while pgrep -f '[d]nsgate-push'; do sleep 1; done >/dev/null")
	n.expect(t, "A 203.0.113.8")
	if history := n.ssh(t, "history"); strings.Count(history, "203.0.113.8") != 1 {
		t.Errorf("history:\n%s", history)
	}
}

// TestOneFamilyIsEnough leaves home without IPv6.
func TestOneFamilyIsEnough(t *testing.T) {
	n := newNetwork(t, "retry 0")
	n.home.Must(t, "ip", "-6", "addr", "flush", "dev", "eth0")
	n.push(t).Expect(t, 0)
	n.expect(t, "A "+home4)
	n.configure(t, "retry 0", "family 6")
	n.push(t).Expect(t, 75)
	n.configure(t, "retry 0", "address6 interface eth0")
	n.push(t).Expect(t, 0)
	n.configure(t, "retry 0", "family 6", "address interface eth0")
	n.push(t).Expect(t, 75)
}

// TestMixedSources takes IPv4 from the gateway and IPv6 from the interface.
func TestMixedSources(t *testing.T) {
	n := newNetwork(t, "address peer", "address6 interface eth0")
	n.home.Must(t, "ip", "addr", "add", "2001:db8:0:9::9/64", "dev", "eth0", "preferred_lft", "0")
	n.push(t).Expect(t, 0)
	n.expect(t, "A "+home4+", AAAA "+home6)
}

// TestNoGateway pushes to an ssh server that is none.
func TestNoGateway(t *testing.T) {
	rig.Needs(t, "dropbear", "dropbearkey")
	n := newNetwork(t, "retry 60")
	n.gate.Must(t, "dropbearkey", "-t", "ed25519", "-f", "/root/host")
	n.gate.Write(t, "/root/.ssh/authorized_keys", n.home.Must(t, "cat", "/etc/dnsgate/id_ed25519.pub"), 0o600)
	n.gate.Start(t, rig.Path, "dropbear", "-r", "/root/host", "-F", "-E", "-p", "2223")
	for line := range strings.Lines(n.gate.Must(t, "dropbearkey", "-y", "-f", "/root/host")) {
		if strings.HasPrefix(line, "ssh-ed25519 ") {
			n.home.Write(t, "/etc/dnsgate/known_hosts", "[gate.example.test]:2223 "+line, 0o644)
		}
	}
	rig.Wait(t, "dropbear listens", func() bool { return n.gate.Listens(t, "2223") })
	n.configure(t, "port 2223", "user root", "retry 60")
	n.push(t, "203.0.113.7").Expect(t, 69, "answered as no dnsgate gateway does, with status 127")
	n.gate.Write(t, "/usr/bin/update", "#!/bin/sh\necho welcome\n", 0o755)
	n.push(t, "203.0.113.7").Expect(t, 69, "answered as no dnsgate gateway does: \"welcome\"")
	n.gate.Write(t, "/usr/bin/update", "#!/bin/sh\necho good 1.2.3.4 home.example.test; echo good 1.2.3.4 nas.example.test\n", 0o755)
	n.push(t, "203.0.113.7").Expect(t, 69)
	n.gate.Write(t, "/usr/bin/update", "#!/bin/sh\nprintf 'badaddr \\033[2J x\\n'; exit 65\n", 0o755)
	n.push(t, "203.0.113.7").Expect(t, 65, "refused: badaddr ?[2J x")
	n.gate.Write(t, "/usr/bin/update", "#!/bin/sh\nwhile :; do echo good 1.2.3.4 home.example.test; done\n", 0o755)
	if r := n.push(t, "--retry", "0", "203.0.113.7"); r.Status == 0 || len(r.Stderr) > 1000 {
		t.Errorf("endless reply: status %d, %d bytes", r.Status, len(r.Stderr))
	}
	if size := n.home.Must(t, "stat", "-c", "%s", "/var/lib/dnsgate-push/reply"); len(size) > len("65536\n") {
		t.Errorf("the reply took %s bytes", size)
	}
}
