package push

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"dnsgate/test/rig"
)

// dnsgate is the program, built once.
var dnsgate string

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzzworker").Value.String() == "true" {
		os.Exit(m.Run())
	}
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "dnsgate")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	dnsgate = filepath.Join(dir, "dnsgate")
	if out, err := exec.Command("go", "build", "-o", dnsgate, "dnsgate/cmd/dnsgate").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building dnsgate: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

const long = 30 * time.Second // for what must come

// wait waits until what holds.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	rig.Within(t, long, what, holds)
}

// machine is a folder with what a push needs.
type machine struct {
	dir    string
	config string
	base   string
	in     []string // before each command: where to run it
}

// newMachine pushes to a port that refuses each connection, until it is told
// another.
func newMachine(t *testing.T, lines ...string) *machine {
	t.Helper()
	rig.Needs(t, "ssh-keygen")
	dir := t.TempDir()
	m := &machine{dir: dir, config: dir + "/push.conf"}
	rig.Command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/id")
	rig.Command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/host")
	m.base = fmt.Sprintf("gateway 127.0.0.1\nkey %s/id\nknown_hosts %s/known_hosts\nstate %s/state\nretry 0\n", dir, dir, dir)
	m.pin(t, "127.0.0.1", m.read(t, "host.pub"))
	m.configure(t, append([]string{"port 1"}, lines...)...)
	return m
}

func (m *machine) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, name))
	rig.Must(t, err)
	return string(text)
}

func (m *machine) configure(t *testing.T, lines ...string) {
	t.Helper()
	rig.Write(t, m.config, m.base+strings.Join(lines, "\n")+"\n", 0o644)
}

func (m *machine) pin(t *testing.T, name, key string) {
	t.Helper()
	rig.Write(t, m.dir+"/known_hosts", name+" "+key, 0o644)
}

func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	args = append(append(append([]string{}, m.in...), dnsgate, "push", "--config", m.config), args...)
	return exec.CommandContext(ctx, args[0], args[1:]...)
}

// push runs dnsgate push as a program without a terminal does.
func (m *machine) push(t *testing.T, args ...string) rig.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*long)
	defer cancel()
	return rig.Finish(t, m.command(ctx, args...))
}

// script runs hooks/dnsgate-push with the same files.
func (m *machine) script(t *testing.T, args ...string) rig.Result {
	t.Helper()
	rig.Needs(t, "dash", "ssh")
	return rig.Finish(t, exec.CommandContext(t.Context(), "dash", append([]string{script, "--config", m.config}, args...)...))
}

// start starts a push that goes on, and returns how to end it.
func (m *machine) start(t *testing.T, args ...string) (said *rig.Output, cmd *exec.Cmd, end func(os.Signal) int) {
	t.Helper()
	said = new(rig.Output)
	cmd = m.command(context.Background(), args...)
	cmd.Stdout, cmd.Stderr = said, said
	rig.Must(t, cmd.Start())
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-done })
	return said, cmd, func(s os.Signal) int {
		cmd.Process.Signal(s)
		select {
		case <-done:
		case <-time.After(long):
			t.Errorf("%v did not end it: %s", s, said)
			cmd.Process.Kill()
			<-done
		}
		return cmd.ProcessState.ExitCode()
	}
}

// gate is a real gateway on loopback.
type gate struct {
	dir  string
	port string
	in   []string
	stop func()
}

// newGate starts a gateway that m may update home and nas .example.test on.
func newGate(t *testing.T, m *machine) *gate {
	t.Helper()
	g := &gate{dir: t.TempDir() + "/gate", port: "0", in: m.in}
	rig.Command(t, dnsgate, "init", g.dir)
	if err := os.WriteFile(g.dir+"/root/data", []byte(".example.test:127.0.0.1:a\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	g.allow(t, m.read(t, "id.pub"), "--acme", "home.example.test", "nas.example.test")
	g.serve(t)
	hostKey := rig.Command(t, "ssh-keygen", "-y", "-f", g.dir+"/ssh_host_ed25519_key")
	m.base = strings.Replace(m.base, "retry 0", "port "+g.port+"\nretry 0", 1)
	m.pin(t, "[127.0.0.1]:"+g.port, hostKey)
	return g
}

func (g *gate) allow(t *testing.T, key string, words ...string) {
	t.Helper()
	cmd := exec.Command(dnsgate, append([]string{"key", "add", "--config", g.dir + "/dnsgate.toml"}, words...)...)
	cmd.Stdin = strings.NewReader(key)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("dnsgate key add: %v: %s", err, out)
	}
}

var listening = regexp.MustCompile(`msg=listening address=127\.0\.0\.1:(\d+)`)

// serve starts the gateway, on the port that it had before.
func (g *gate) serve(t *testing.T) {
	t.Helper()
	file := g.dir + "/dnsgate.toml"
	text, err := os.ReadFile(file)
	rig.Must(t, err)
	text = regexp.MustCompile(`(?m)^listen .*`).ReplaceAll(text, []byte(`listen = ["127.0.0.1:`+g.port+`"]`))
	rig.Must(t, os.WriteFile(file, text, 0o600))
	args := append(append([]string{}, g.in...), dnsgate, "serve", "--config", file)
	cmd, said := exec.Command(args[0], args[1:]...), new(rig.Output)
	cmd.Stderr = said
	rig.Must(t, cmd.Start())
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	g.stop = func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-done
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-done
		if t.Failed() {
			t.Logf("the gateway said:\n%s", said)
		}
	})
	wait(t, "the gateway listens", func() bool { return listening.MatchString(said.String()) })
	g.port = listening.FindStringSubmatch(said.String())[1]
}

// data is what the gateway has published.
func (g *gate) data(t *testing.T) string {
	text, err := os.ReadFile(g.dir + "/root/dnsgate")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

func (g *gate) has(t *testing.T, address string) bool {
	return strings.Contains(g.data(t), ":"+address+":")
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	g := newGate(t, m)
	m.configure(t, "hosts home.example.test nas.example.test")

	m.push(t, "-v", "203.0.113.7").Expect(t, 0, "good 203.0.113.7 home.example.test\ngood 203.0.113.7 nas.example.test\n")
	if r := m.push(t, "203.0.113.7"); r.Status != 0 || r.Stdout+r.Stderr != "" {
		t.Errorf("without a terminal, it says %+v", r)
	}
	if r := m.push(t, "-v", "203.0.113.7"); r.Sent() != "" || r.Status != 0 {
		t.Errorf("sent again: %+v", r)
	}
	m.push(t, "-v", "--force", "203.0.113.7").Expect(t, 0, "nochg 203.0.113.7 home.example.test")
	m.push(t, "-v", "203.0.113.7", "2001:db8::7").Expect(t, 0, `sending "update home.example.test nas.example.test 2001:db8::7"`)
	m.push(t, "-v", "--dry-run", "203.0.113.8").Expect(t, 0, "good 203.0.113.8")
	if g.has(t, "203.0.113.8") || !g.has(t, "203.0.113.7") {
		t.Errorf("after a dry run:\n%s", g.data(t))
	}
	m.push(t, "-v", "203.0.113.7").Expect(t, 0, "was acknowledged")
	m.push(t, "-v", "--offline", "-4").Expect(t, 0, `sending "offline -4 home.example.test nas.example.test"`)
	if g.has(t, "203.0.113.7") || !strings.Contains(g.data(t), ":28:") {
		t.Errorf("after going offline:\n%s", g.data(t))
	}
	m.push(t, "-v", "203.0.113.7").Expect(t, 0, "sending", "good")

	m.push(t, "-v", "--acme", "add", "*.home.example.test.", "-_x").Expect(t, 0, "good home.example.test")
	if !strings.Contains(g.data(t), "_acme-challenge.home.example.test") {
		t.Errorf("no challenge:\n%s", g.data(t))
	}
	m.push(t, "-v", "--acme", "del", "_acme-challenge.home.example.test", "-_x").Expect(t, 0)
	m.push(t, "--acme", "add", "other.example.test", "x").Expect(t, 77, "refused: nohost")
	m.push(t, "--host", "other.example.test", "203.0.113.7").Expect(t, 77, "refused: nohost")
	m.push(t, "--peer", "-4").Expect(t, 65, "refused: badaddr")
	m.push(t, "203.0.113.7", "127.0.0.1").Expect(t, 65, "127.0.0.1 is a loopback")
	m.configure(t, "private yes")
	m.push(t, "10.0.0.1").Expect(t, 65, "refused: badaddr")
	g.stop()
	m.push(t, "-v", "203.0.113.9").Expect(t, 75, "cannot be reached")
}

// TestNotes checks when an acknowledged address is known and forgotten, and
// that the script reads the same notes.
func TestNotes(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	g := newGate(t, m)
	m.configure(t, "hosts home.example.test")
	note := m.dir + "/state/127.0.0.1:" + g.port + "/home.example.test/acked4"

	m.push(t, "203.0.113.7", "2001:db8::7").Expect(t, 0)
	m.script(t, "-v", "203.0.113.7").Expect(t, 0, "was acknowledged")
	m.script(t, "203.0.113.8", "2001:db8:1:2:3::/64").Expect(t, 0)
	if r := m.push(t, "-v", "203.0.113.8", "2001:db8:1:2:3::/64"); r.Sent() != "" {
		t.Errorf("the script's note was not understood: %s", r.Stderr)
	}
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		note  string
		fresh bool
	}{
		"of now":           {fmt.Sprintf("%d 203.0.113.8\n", now), true},
		"old":              {fmt.Sprintf("%d 203.0.113.8\n", now-3601), false},
		"of the future":    {fmt.Sprintf("%d 203.0.113.8\n", now+60), false},
		"another address":  {fmt.Sprintf("%d 203.0.113.80\n", now), false},
		"empty":            {"", false},
		"no time":          {"203.0.113.8\n", false},
		"not a time":       {"x 203.0.113.8\n", false},
		"octal":            {fmt.Sprintf("0%d 203.0.113.8\n", now), false},
		"not an end":       {fmt.Sprintf("%d 203.0.113.8", now), true},
		"longer than long": {strings.Repeat("9", 1<<20), false},
	} {
		rig.Write(t, note, test.note, 0o600)
		r := m.push(t, "-v", "203.0.113.8")
		if r.Status != 0 || (r.Sent() == "") != test.fresh {
			t.Errorf("a note %s: status %d, sent %q", name, r.Status, r.Sent())
		}
	}
	g.stop()
	m.push(t, "203.0.113.9").Expect(t, 75)
	if _, err := os.Stat(note); err == nil {
		t.Error("the note is still there after another address was sent, and perhaps arrived")
	}
	left, _ := filepath.Glob(filepath.Dir(note) + "/*.*")
	if left != nil {
		t.Errorf("left behind: %q", left)
	}
}

func TestLoginFailures(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	g := newGate(t, m)
	m.configure(t)
	gate := "[127.0.0.1]:" + g.port
	hostKey := rig.Command(t, "ssh-keygen", "-y", "-f", g.dir+"/ssh_host_ed25519_key")
	ours := m.read(t, "host.pub")
	rig.Command(t, "ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", m.dir+"/rsa")
	for name, test := range map[string]struct {
		known, conf string
		status      int
		want        string
	}{
		"pinned":                      {gate + " " + hostKey, "", 0, ""},
		"pinned without its port":     {"127.0.0.1 " + hostKey, "", 0, ""},
		"pinned beside another key":   {gate + " " + m.read(t, "rsa.pub") + gate + " " + hostKey, "", 0, ""},
		"pinned by its alias":         {"gate " + hostKey, "host_key_alias gate", 0, ""},
		"another key":                 {gate + " " + ours, "", 78, "the host key is not the one in"},
		"a key of another type":       {gate + " " + m.read(t, "rsa.pub"), "", 78, "the host key is not the one in"},
		"another port":                {"[127.0.0.1]:1 " + hostKey, "", 78, "no key for " + gate},
		"another name with an alias":  {gate + " " + hostKey, "host_key_alias gate", 78, "no key for gate"},
		"revoked":                     {gate + " " + hostKey + "@revoked * " + hostKey, "", 78, "the host key is not the one in"},
		"none":                        {"", "", 78, "known_hosts: empty; add"},
		"nonsense":                    {gate + " ssh-ed25519 AAAA", "", 78, "known_hosts:1"},
		"known_hosts: a missing file": {gate + " " + hostKey, "known_hosts /nowhere/known_hosts", 78, "is given twice"},
	} {
		m.configure(t, test.conf)
		rig.Write(t, m.dir+"/known_hosts", test.known, 0o644)
		r := m.push(t, "--force", "203.0.113.7")
		r.Expect(t, test.status, test.want)
		if t.Failed() {
			t.Fatalf("%s: failed", name)
		}
	}

	m.pin(t, gate, hostKey)
	rig.Needs(t, "ssh-keygen")
	rig.Command(t, "ssh-keygen", "-q", "-H", "-f", m.dir+"/known_hosts") // hashed names
	m.configure(t)
	m.push(t, "--force", "203.0.113.7").Expect(t, 0)

	rig.Must(t, os.Rename(m.dir+"/rsa", m.dir+"/id"))
	m.push(t, "--force", "203.0.113.7").Expect(t, 77, "does not accept the key "+m.dir+"/id")
}

func TestKeys(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	g := newGate(t, m)
	m.configure(t, "hosts home.example.test")
	good := func(name string) {
		r := m.push(t, "--force", "203.0.113.7")
		if r.Status != 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for _, args := range []string{"-t ecdsa -b 256", "-t ecdsa -b 384", "-t ecdsa -b 521", "-t rsa -b 2048", "-t rsa -b 3072 -m PEM", "-t ecdsa -m PEM"} {
		os.Remove(m.dir + "/id")
		rig.Command(t, append([]string{"ssh-keygen", "-q", "-N", "", "-f", m.dir + "/id"}, strings.Fields(args)...)...)
		g.allow(t, m.read(t, "id.pub"), "home.example.test")
		wait(t, "the key works", func() bool { return m.push(t, "--force", "203.0.113.7").Status == 0 })
		good(args)
	}
	bad := func(want string) { m.push(t, "--force", "203.0.113.7").Expect(t, 78, want) }
	rig.Must(t, os.Chmod(m.dir+"/id", 0o640))
	bad("id: others may read it")
	rig.Write(t, m.dir+"/id", "PuTTY-User-Key-File-3: ssh-ed25519\n", 0o600)
	bad("not a private key in OpenSSH's format")
	rig.Write(t, m.dir+"/id", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", 0o600)
	bad("id: ")
	os.Remove(m.dir + "/id")
	bad("id: is not there")
	rig.Command(t, "ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", m.dir+"/id")
	bad("less than 2048 bits")
	os.Remove(m.dir + "/id")
	rig.Command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", m.dir+"/id")
	bad("needs a passphrase")
}

func TestAgent(t *testing.T) {
	rig.Needs(t, "ssh-agent", "ssh-add")
	m := newMachine(t)
	g := newGate(t, m)
	m.configure(t, "hosts home.example.test")
	t.Setenv("SSH_AUTH_SOCK", "")
	m.push(t, "--agent", "203.0.113.7").Expect(t, 78, "SSH_AUTH_SOCK")
	t.Setenv("SSH_AUTH_SOCK", m.dir+"/agent")
	m.push(t, "-v", "--agent", "203.0.113.7").Expect(t, 75, "asking the agent")
	agent := exec.Command("ssh-agent", "-D", "-a", m.dir+"/agent")
	rig.Must(t, agent.Start())
	defer func() { agent.Process.Kill(); agent.Wait() }()
	wait(t, "the agent is there", func() bool { _, err := os.Stat(m.dir + "/agent"); return err == nil })
	m.push(t, "--agent", "203.0.113.7").Expect(t, 77, "the agent holds no key")
	rig.Command(t, "ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", m.dir+"/other")
	g.allow(t, m.read(t, "other.pub"), "nas.example.test")
	rig.Command(t, "ssh-add", "-q", m.dir+"/other")
	m.push(t, "--agent", "203.0.113.7").Expect(t, 77, "the agent holds no key")
	rig.Command(t, "ssh-add", "-q", m.dir+"/id")
	rig.Must(t, os.Remove(m.dir+"/id"))
	m.push(t, "-v", "--agent", "203.0.113.7").Expect(t, 0, "good 203.0.113.7 home")
	rig.Must(t, os.Remove(m.dir+"/id.pub")) // now any of the agent's keys will do
	m.push(t, "-v", "--agent", "--host", "nas.example.test", "203.0.113.7").Expect(t, 0, "good 203.0.113.7 nas")
}

func TestGatewayIsDown(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	begun := time.Now()
	r := m.push(t, "-v", "--retry", "6", "203.0.113.7")
	r.Expect(t, 75, "trying again in")
	if n := strings.Count(r.Sent(), "update"); n < 2 || n > 5 || time.Since(begun) > long {
		t.Errorf("%d attempts in %v\n%s", n, time.Since(begun), r.Stderr)
	}
	if r := m.push(t, "203.0.113.7"); r.Status != 75 || r.Stderr != "" {
		t.Errorf("what may pass is no news: %+v", r)
	}
	port, open := rig.Silent(t)
	m.configure(t, "port "+port, "connect_timeout 1")
	m.push(t, "-v", "203.0.113.7").Expect(t, 75, "no answer in time")
	wait(t, "the connection ends", func() bool { now, most := open(); return now == 0 && most == 1 })
	m.configure(t, "port 1", "connect_timeout 1\nhost_key_alias x")
	m.pin(t, "x", m.read(t, "host.pub"))
	rig.Write(t, m.config, strings.Replace(m.read(t, "push.conf"), "gateway 127.0.0.1", "gateway nowhere.invalid", 1), 0o644)
	m.push(t, "-v", "203.0.113.7").Expect(t, 75, "cannot be reached")
}
