package faults

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

var binary string // the real dnsgate, built once

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "dnsgate")
	if out, err := exec.Command("go", "build", "-o", binary, "dnsgate/cmd/dnsgate").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// need skips a test whose peer is absent, except in CI.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
}

const zone = "dyn.example.com"

// gateway is a set-up of dnsgate, and the process that serves it, if any.
type gateway struct {
	dir         string
	user, admin ssh.Signer
	address     string
	process     *exec.Cmd
	log         *lines
}

// newGateway makes a set-up; oldNew are replacements in its dnsgate.toml.
func newGateway(t *testing.T, oldNew ...string) *gateway {
	t.Helper()
	return setUp(t, filepath.Join(t.TempDir(), "gate"), oldNew...)
}

func setUp(t *testing.T, dir string, oldNew ...string) *gateway {
	t.Helper()
	g := &gateway{dir: dir}
	g.must(t, "", "init", g.dir)
	g.configure(t, append([]string{
		`["[::]:2222"]`, `["127.0.0.1:0"]`,
		"updates_per_minute = 30 ", "updates_per_minute = 1000000 ",
	}, oldNew...)...)
	if err := os.WriteFile(g.path("root", "data"), []byte("."+zone+":127.0.0.1:a\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	g.user = g.authorize(t, "."+zone)
	g.admin = g.authorize(t, "--admin")
	t.Cleanup(g.kill)
	return g
}

func (g *gateway) path(parts ...string) string {
	return filepath.Join(append([]string{g.dir}, parts...)...)
}

func (g *gateway) configure(t *testing.T, oldNew ...string) {
	t.Helper()
	file := g.path("dnsgate.toml")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldNew); i += 2 {
		if !bytes.Contains(content, []byte(oldNew[i])) {
			t.Fatalf("%s: no %q", file, oldNew[i])
		}
		content = bytes.ReplaceAll(content, []byte(oldNew[i]), []byte(oldNew[i+1]))
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// must runs dnsgate with the given standard input.
func (g *gateway) must(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := g.try(stdin, args...)
	if err != nil {
		t.Fatalf("dnsgate %q: %v\n%s", args, err, out)
	}
	return out
}

func (g *gateway) try(stdin string, args ...string) (string, error) {
	c := exec.Command(binary, args...)
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	return string(out), err
}

func (g *gateway) config() string { return "--config=" + g.path("dnsgate.toml") }

func (g *gateway) authorize(t *testing.T, grant ...string) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"key", "add", g.config()}, grant...)
	g.must(t, string(ssh.MarshalAuthorizedKey(signer.PublicKey())), args...)
	return signer
}

// lines collects a process's log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(line + "\n")
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start serves, in front of it the words of wrap, and returns once it listens.
func (g *gateway) start(t *testing.T, wrap ...string) {
	t.Helper()
	if err := g.tryStart(wrap...); err != nil {
		t.Fatal(err)
	}
}

func (g *gateway) tryStart(wrap ...string) error {
	args := append(wrap, binary, "serve", g.config())
	c := exec.Command(args[0], args[1:]...)
	stderr, err := c.StderrPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	g.log = &lines{}
	in := bufio.NewScanner(stderr)
	for in.Scan() {
		g.log.add(in.Text())
		if _, address, ok := strings.Cut(in.Text(), "msg=listening address="); ok {
			g.process, g.address = c, address
			log := g.log
			go func() {
				for in.Scan() {
					log.add(in.Text())
				}
			}()
			return nil
		}
	}
	return fmt.Errorf("the gateway does not start: %w\n%s", c.Wait(), g.log)
}

func (g *gateway) kill() {
	if g.process != nil {
		g.process.Process.Kill()
		g.process.Wait()
		g.process = nil
	}
}

func (g *gateway) dial(key ssh.Signer) (*ssh.Client, error) {
	return ssh.Dial("tcp", g.address, &ssh.ClientConfig{
		User: "x", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 20 * time.Second,
	})
}

// say runs one command and returns what it wrote and its exit status, or -1
// if there was none.
func (g *gateway) say(key ssh.Signer, command string) (string, int) {
	conn, err := g.dial(key)
	if err != nil {
		return err.Error(), -1
	}
	defer conn.Close()
	return sayOn(conn, command, "")
}

func sayOn(conn *ssh.Client, command, stdin string) (string, int) {
	session, err := conn.NewSession()
	if err != nil {
		return err.Error(), -1
	}
	defer session.Close()
	session.Stdin = strings.NewReader(stdin)
	out, err := session.Output(command)
	var exit *ssh.ExitError
	switch {
	case errors.As(err, &exit):
		return string(out), exit.ExitStatus()
	case err != nil:
		return string(out) + err.Error(), -1
	}
	return string(out), 0
}

// wants runs one command and wants its reply to begin with code.
func (g *gateway) wants(t *testing.T, key ssh.Signer, command, code string) string {
	t.Helper()
	out, _ := g.say(key, command)
	if word, _, _ := strings.Cut(out, " "); word != code {
		t.Fatalf("%s: %q, not %s\n%s", command, out, code, g.log)
	}
	return out
}

// eventually tries a command until its reply begins with code.
func (g *gateway) eventually(t *testing.T, key ssh.Signer, command, code string) {
	t.Helper()
	var out string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		out, _ = g.say(key, command)
		if word, _, _ := strings.Cut(out, " "); word == code {
			return
		}
	}
	t.Fatalf("%s: never %s, last %q\n%s", command, code, out, g.log)
}

// served is what data.cdb says of a host.
func (g *gateway) served(host string) string {
	get := exec.Command(binary, "get", "a", host)
	get.Dir = g.path("root")
	out, err := get.Output()
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 0 && f[0] == "answer:" {
			return f[len(f)-1]
		}
	}
	return ""
}

// getIn is dnsgate get in the root.
func (g *gateway) getIn(t *testing.T, kind, name string) string {
	t.Helper()
	get := exec.Command(binary, "get", kind, name)
	get.Dir = g.path("root")
	out, err := get.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}
