package hooks_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "8") // most tests wait most of the time
	rig.Main(m)
}

// network is a gateway and a machine at home, joined by a cable over which both
// have documentation addresses, so that the gateway may publish them.
type network struct {
	gate, home *rig.Machine
	dir        string // the gateway's configuration
	stop       func() // ends the gateway
}

const (
	gate4, gate6 = "192.0.2.1", "2001:db8:0:1::1"
	home4, home6 = "192.0.2.10", "2001:db8:0:1::10"
)

// newNetwork starts a gateway whose key for home may update hosts home and nas
// .example.test, and installs dnsgate-push at home as README.md says. conf is
// added to push.conf.
func newNetwork(t *testing.T, conf ...string) *network {
	t.Helper()
	t.Parallel()
	n := &network{gate: rig.NewMachine(t, "gate"), home: rig.NewMachine(t, "home"), dir: t.TempDir() + "/gate"}
	rig.Link(t, n.gate, n.home, "eth0")
	for m, addresses := range map[*rig.Machine][]string{n.gate: {gate4 + "/24", gate6 + "/64"}, n.home: {home4 + "/24", home6 + "/64"}} {
		for _, a := range addresses {
			m.Must(t, "ip", "addr", "add", a, "dev", "eth0")
		}
	}
	n.gate.Must(t, rig.Dnsgate(t), "init", n.dir)
	n.gate.Write(t, n.dir+"/root/data", ".example.test:"+gate4+":a.ns.example.test:259200\n", 0o644)

	install(t, n.home, "## Install", 0)
	n.home.Write(t, "/etc/hosts", "127.0.0.1 localhost\n"+gate4+" gate.example.test\n"+gate6+" gate.example.test\n", 0o644)
	n.home.Write(t, "/etc/resolv.conf", "", 0o644)
	hostKey := n.gate.Must(t, "ssh-keygen", "-y", "-f", n.dir+"/ssh_host_ed25519_key")
	n.home.Write(t, "/etc/dnsgate/known_hosts", "[gate.example.test]:2222 "+hostKey, 0o644)
	n.configure(t, conf...)

	n.allow(t, "--acme", "home.example.test", "nas.example.test")
	n.serve(t)
	return n
}

// configure writes home's push.conf.
func (n *network) configure(t *testing.T, lines ...string) {
	t.Helper()
	n.home.Write(t, "/etc/dnsgate/push.conf", "gateway gate.example.test\nhosts home.example.test\n"+strings.Join(lines, "\n")+"\n", 0o644)
}

// allow gives home's key what words of the command "allow" say.
func (n *network) allow(t *testing.T, words ...string) {
	t.Helper()
	key := n.home.Must(t, "cat", "/etc/dnsgate/id_ed25519.pub")
	args := append([]string{rig.Dnsgate(t), "key", "add", "--config", n.dir + "/dnsgate.toml"}, words...)
	cmd := n.gate.Command(t.Context(), rig.Path, args...)
	cmd.Stdin = strings.NewReader(key)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("dnsgate key add: %v: %s", err, out)
	}
}

// serve starts the gateway, and returns when it listens.
func (n *network) serve(t *testing.T) {
	t.Helper()
	cmd := n.gate.Command(t.Context(), rig.Path, "sh", "-c", `echo $$ >"$1/pid"; exec "$2" serve --config "$1/dnsgate.toml"`, "serve", n.dir, rig.Dnsgate(t))
	said := new(rig.Output)
	cmd.Stdout, cmd.Stderr = said, said
	rig.Must(t, cmd.Start())
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	n.stop = func() {
		n.gate.Run(t, "sh", "-c", "kill $(cat "+n.dir+"/pid)")
		<-ended
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		if t.Failed() {
			lists := regexp.MustCompile(`(?m)^.* command=list .*\n`)
			t.Logf("the gateway said:\n%s\nhome's system log:\n%s", lists.ReplaceAllString(said.String(), ""), n.home.Log(t, "dnsgate-push"))
		}
	})
	rig.Wait(t, "the gateway listens", func() bool {
		select {
		case <-ended:
			t.Fatalf("the gateway ended: %s", said)
		default:
		}
		return n.gate.Listens(t, "2222")
	})
}

// ssh runs a command on the gateway with home's key, from the gateway itself.
func (n *network) ssh(t *testing.T, words ...string) string {
	t.Helper()
	key := n.home.Must(t, "cat", "/etc/dnsgate/id_ed25519")
	file := filepath.Join(t.TempDir(), "id")
	rig.Write(t, file, key, 0o600)
	args := append([]string{"ssh", "-n", "-F", "none", "-i", file, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-p", "2222", gate4}, words...)
	return n.gate.Must(t, args...)
}

// records lists the values that the gateway has for home's key, as "TYPE
// VALUE", in the order of the alphabet.
func (n *network) records(t *testing.T) string {
	t.Helper()
	var all []string
	for line := range strings.Lines(n.ssh(t, "list")) {
		if words := strings.Fields(line); len(words) == 5 {
			value := words[3] + " " + words[4]
			if words[0] != "home.example.test." {
				value = words[0] + " " + value
			}
			all = append(all, value)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// expect waits until the gateway has just these records.
func (n *network) expect(t *testing.T, want string) {
	t.Helper()
	got := "nothing"
	defer func() {
		if got != want {
			t.Logf("the records are: %s", got)
		}
	}()
	rig.Wait(t, "records "+want, func() bool {
		got = n.records(t)
		return got == want
	})
}

// push runs the installed dnsgate-push at home.
func (n *network) push(t *testing.T, args ...string) rig.Result {
	t.Helper()
	return n.home.Run(t, append([]string{"/usr/local/bin/dnsgate-push"}, args...)...)
}

// install runs the shell commands below a heading of README.md on m: those of
// its nth block.
func install(t *testing.T, m *rig.Machine, heading string, n int) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	rig.Must(t, err)
	_, text, ok := bytes.Cut(readme, []byte("\n"+heading+"\n"))
	if !ok {
		t.Fatalf("README.md has no heading %q", heading)
	}
	text, _, _ = bytes.Cut(text, []byte("\n#"))
	blocks := bytes.Split(text, []byte("```sh\n"))
	if len(blocks) <= n+1 {
		t.Fatalf("README.md has no block %d below %q", n, heading)
	}
	script, _, _ := bytes.Cut(blocks[n+1], []byte("```"))
	m.Must(t, "sh", "-ec", "cd \"$1\"\n"+string(script), "install", here(t, "."))
}
