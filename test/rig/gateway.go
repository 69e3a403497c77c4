package rig

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// Gateway is a set-up of dnsgate on loopback, and the process that serves it, if
// any. Kill, Stop, Address and Dial may be called by any goroutine.
type Gateway struct {
	Dir     string
	Program string
	In      []string // words before dnsgate serve: where to run it

	mu      sync.Mutex
	address string
	process *exec.Cmd
	ended   chan struct{}
	log     *Output
}

// NewGateway makes a set-up with this zone, in a folder of the test's.
func NewGateway(t testing.TB, zone string, oldNew ...string) *Gateway {
	t.Helper()
	return NewGatewayAt(t, filepath.Join(t.TempDir(), "gate"), zone, oldNew...)
}

// NewGatewayAt makes a set-up in dir; oldNew are replacements in its
// dnsgate.toml.
func NewGatewayAt(t testing.TB, dir, zone string, oldNew ...string) *Gateway {
	t.Helper()
	g := &Gateway{Dir: dir, Program: Dnsgate(t), log: new(Output)}
	g.Must(t, "", "init", dir)
	g.Configure(t, append([]string{`"[::]:2222"`, `"127.0.0.1:0"`}, oldNew...)...)
	Must(t, os.WriteFile(g.Path("root", "data"), []byte("."+zone+":127.0.0.1:a\n"), 0o644))
	t.Cleanup(func() {
		g.Kill()
		if t.Failed() {
			said := g.Log()
			t.Logf("the gateway said at last:\n%s", said[max(0, len(said)-2<<10):])
		}
	})
	return g
}

// Path is a file of the set-up.
func (g *Gateway) Path(parts ...string) string {
	return filepath.Join(append([]string{g.Dir}, parts...)...)
}

// Config is the flag that names the set-up.
func (g *Gateway) Config() string { return "--config=" + g.Path("dnsgate.toml") }

// Configure replaces text in dnsgate.toml, which has to be there.
func (g *Gateway) Configure(t testing.TB, oldNew ...string) {
	t.Helper()
	file := g.Path("dnsgate.toml")
	content := []byte(Read(t, file))
	for i := 0; i < len(oldNew); i += 2 {
		if !bytes.Contains(content, []byte(oldNew[i])) {
			t.Fatalf("%s: no %q", file, oldNew[i])
		}
		content = bytes.ReplaceAll(content, []byte(oldNew[i]), []byte(oldNew[i+1]))
	}
	Must(t, os.WriteFile(file, content, 0o600))
}

// Must runs a dnsgate command with the given standard input; it has to succeed.
func (g *Gateway) Must(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	out, err := g.Try(stdin, args...)
	if err != nil {
		t.Fatalf("dnsgate %q: %v\n%s", args, err, out)
	}
	return out
}

// Try runs a dnsgate command.
func (g *Gateway) Try(stdin string, args ...string) (string, error) {
	c := exec.Command(g.Program, args...)
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	return string(out), err
}

// Allow gives a public key what words of "dnsgate key add" say.
func (g *Gateway) Allow(t testing.TB, key string, words ...string) {
	t.Helper()
	g.Must(t, key, append([]string{"key", "add", g.Config()}, words...)...)
}

// Authorize makes a key and gives it what the words say.
func (g *Gateway) Authorize(t testing.TB, words ...string) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	Must(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	Must(t, err)
	g.Allow(t, string(ssh.MarshalAuthorizedKey(signer.PublicKey())), words...)
	return signer
}

// HostKey is the gateway's public key.
func (g *Gateway) HostKey(t testing.TB) string {
	t.Helper()
	return Command(t, "ssh-keygen", "-y", "-f", g.Path("ssh_host_ed25519_key"))
}

// Start serves, in front of it the words of wrap, and returns once it listens.
func (g *Gateway) Start(t testing.TB, wrap ...string) {
	t.Helper()
	Must(t, g.TryStart(wrap...))
}

// TryStart is Start that may fail.
func (g *Gateway) TryStart(wrap ...string) error {
	args := append(append(append([]string{}, wrap...), g.In...), g.Program, "serve", g.Config())
	c := exec.Command(args[0], args[1:]...)
	log := new(Output)
	c.Stderr, c.WaitDelay = log, time.Second
	if err := c.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	var endErr error
	go func() { endErr = c.Wait(); close(ended) }()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = log
	for {
		_, rest, _ := strings.Cut(log.String(), "msg=listening address=")
		if address, _, whole := strings.Cut(rest, "\n"); whole {
			g.process, g.ended, g.address = c, ended, address
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("the gateway does not start: %w\n%s", endErr, log)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Kill ends the gateway at once.
func (g *Gateway) Kill() { g.end(syscall.SIGKILL) }

// Stop lets the gateway end.
func (g *Gateway) Stop() { g.end(syscall.SIGTERM) }

func (g *Gateway) end(s os.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.process != nil {
		g.process.Process.Signal(s)
		<-g.ended
		g.process = nil
	}
}

// Process is what serves; nil: nothing does.
func (g *Gateway) Process() *os.Process {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.process == nil {
		return nil
	}
	return g.process.Process
}

// Ended is closed once the gateway that was started last has ended.
func (g *Gateway) Ended() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ended
}

// Address is where the gateway listened last.
func (g *Gateway) Address() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.address
}

// Port is that of Address.
func (g *Gateway) Port() string {
	_, port, _ := net.SplitHostPort(g.Address())
	return port
}

// Log is what the gateway that was started last has said.
func (g *Gateway) Log() string {
	g.mu.Lock()
	log := g.log
	g.mu.Unlock()
	return log.String()
}

// Dial logs in.
func (g *Gateway) Dial(key ssh.Signer) (*ssh.Client, error) {
	return ssh.Dial("tcp", g.Address(), &ssh.ClientConfig{
		User: "x", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 20 * time.Second,
	})
}

// Say runs one command and returns what it wrote and its exit status, or -1
// if there was none.
func (g *Gateway) Say(key ssh.Signer, command string) (string, int) {
	conn, err := g.Dial(key)
	if err != nil {
		return err.Error(), -1
	}
	defer conn.Close()
	return SayOn(conn, command, "")
}

// SayOn is Say on a connection that is there.
func SayOn(conn *ssh.Client, command, stdin string) (string, int) {
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

// Get is what dnsgate get says in the gateway's root.
func (g *Gateway) Get(t testing.TB, kind, name string) string {
	t.Helper()
	get := exec.Command(g.Program, "get", kind, name)
	get.Dir = g.Path("root")
	out, err := get.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// Served is the address that data.cdb has for a host.
func (g *Gateway) Served(host string) string {
	get := exec.Command(g.Program, "get", "a", host)
	get.Dir = g.Path("root")
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
