package screens

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// gateway is a dnsgate on loopback, with three hosts, an operator and a key whose
// comment is hostile.
type gateway struct {
	*testing.T
	dir, dnsgate, port string
	process            *exec.Cmd
}

// hostile is a comment as whoever asks for a key to be added may have it.
const hostile = "evil \x1b[2J\x1b]0;owned\a end"

func newGateway(t *testing.T) *gateway {
	t.Helper()
	for _, program := range []string{"tmux", "ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	g := &gateway{T: t, dir: t.TempDir()}
	g.dnsgate = filepath.Join(g.dir, "dnsgate")
	g.run("go", "build", "-o", g.dnsgate, "dnsgate/cmd/dnsgate")
	g.run(g.dnsgate, "init", g.file("gate"))
	g.port = freePort(t)
	edit(t, g.file("gate/dnsgate.toml"), `listen = ["[::]:2222"]`, `listen = ["127.0.0.1:`+g.port+`"]`)
	edit(t, g.file("gate/root/data"), "", ".example.com:127.0.0.1:a\n")
	for _, k := range []struct{ name, grant string }{
		{"operator", "admin"}, {"monitor", "monitor"}, {"evil", "allow --private lab.example.com"}, {"router", "allow home.example.com nas.example.com"},
		{"ns2", "follow .example.com"},
	} {
		g.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", k.name, "-f", g.file(k.name))
		public, err := os.ReadFile(g.file(k.name + ".pub"))
		if err != nil {
			t.Fatal(err)
		}
		line := strings.Replace(string(public), " evil", " "+hostile, 1)
		edit(t, g.file("gate/authorized_keys"), "", fmt.Sprintf("command=\"dnsgate %s\" %s", k.grant, line))
	}
	g.start()
	known := g.run("ssh-keygen", "-y", "-f", g.file("gate/ssh_host_ed25519_key"))
	edit(t, g.file("known"), "", "gate "+known)
	edit(t, g.file("config"), "", fmt.Sprintf("Host gate\nHostName 127.0.0.1\nPort %s\nHostKeyAlias gate\nUserKnownHostsFile %s\nIdentitiesOnly yes\nLogLevel ERROR\n",
		g.port, g.file("known")))
	g.ssh("router", "update home.example.com 203.0.113.7")
	g.ssh("router", "update nas.example.com 203.0.113.9 2001:db8:0:1::9")
	g.ssh("evil", "update 192.168.1.4")
	return g
}

func (g *gateway) file(name string) string { return filepath.Join(g.dir, name) }

func (g *gateway) run(words ...string) string {
	g.Helper()
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		g.Fatalf("%v: %v\n%s", words, err, out)
	}
	return string(out)
}

func (g *gateway) ssh(key, line string) string {
	g.Helper()
	return g.run("ssh", "-F", g.file("config"), "-i", g.file(key), "gate", line)
}

func (g *gateway) start() {
	g.Helper()
	log, err := os.Create(g.file("log"))
	if err != nil {
		g.Fatal(err)
	}
	defer log.Close()
	g.process = exec.Command(g.dnsgate, "serve", "--config", g.file("gate/dnsgate.toml"))
	g.process.Stderr = log
	if err := g.process.Start(); err != nil {
		g.Fatal(err)
	}
	g.Cleanup(func() {
		g.process.Process.Signal(os.Interrupt)
		g.process.Wait()
		if text, _ := os.ReadFile(g.file("log")); strings.Contains(string(text), "panic") {
			g.Errorf("it panicked:\n%s", text)
		}
	})
	for range 1000 {
		if c, err := net.Dial("tcp", "127.0.0.1:"+g.port); err == nil {
			c.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	g.Fatal("the gateway does not listen")
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// edit replaces old in a file, or adds to its end if old is empty.
func edit(t *testing.T, file, old, new string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	text := string(b) + new
	if old != "" {
		text = strings.Replace(string(b), old, new, 1)
		if text == string(b) {
			t.Fatalf("%s has no %q", file, old)
		}
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
