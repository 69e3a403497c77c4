package rig

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Client is a folder with what a push needs. Its gateway refuses each connection
// until Configure names another port.
type Client struct {
	Dir    string
	Config string   // push.conf
	Base   string   // lines that Configure writes first
	In     []string // words before each command: where to run it
	words  []string // the program
}

// Script are the words that run hooks/dnsgate-push in a shell.
func Script(t testing.TB, shell ...string) []string {
	Needs(t, shell[0], "ssh")
	return append(append([]string{}, shell...), Source(t, "hooks/dnsgate-push"))
}

// Push are the words of the client as one binary.
func Push(t testing.TB) []string { return []string{Dnsgate(t), "push"} }

// NewClient makes a client that runs the program of words, with these lines in
// push.conf.
func NewClient(t testing.TB, words []string, lines ...string) *Client {
	t.Helper()
	dir := t.TempDir()
	c := &Client{Dir: dir, Config: filepath.Join(dir, "push.conf"), words: words}
	Keygen(t, filepath.Join(dir, "id"))
	Keygen(t, filepath.Join(dir, "host"))
	c.Base = fmt.Sprintf("gateway 127.0.0.1\nkey %s/id\nknown_hosts %s/known_hosts\nstate %s/state\nretry 0\n", dir, dir, dir)
	c.Pin(t, "127.0.0.1", c.Read(t, "host.pub"))
	c.Configure(t, lines...)
	return c
}

// As is c with another program.
func (c *Client) As(words []string) *Client {
	other := *c
	other.words = words
	return &other
}

// Configure writes push.conf.
func (c *Client) Configure(t testing.TB, lines ...string) {
	t.Helper()
	text := strings.Join(lines, "\n") + "\n"
	if !strings.Contains("\n"+text, "\nport ") {
		text = "port 1\n" + text
	}
	text = c.Base + text
	Write(t, c.Config, text, 0o644)
}

// Pin makes key the only one in known_hosts.
func (c *Client) Pin(t testing.TB, name, key string) {
	t.Helper()
	Write(t, c.Dir+"/known_hosts", name+" "+key, 0o644)
}

// Read returns what a file of the folder holds.
func (c *Client) Read(t testing.TB, name string) string {
	t.Helper()
	return Read(t, filepath.Join(c.Dir, name))
}

// Command prepares a push.
func (c *Client) Command(ctx context.Context, args ...string) *exec.Cmd {
	all := c.Words(args...)
	return exec.CommandContext(ctx, all[0], all[1:]...)
}

// Words are the words of a push.
func (c *Client) Words(args ...string) []string {
	return append(append(append(append([]string{}, c.In...), c.words...), "--config", c.Config), args...)
}

// Push pushes as a program without a terminal does.
func (c *Client) Push(t testing.TB, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*Long)
	defer cancel()
	return Finish(t, c.Command(ctx, args...))
}

// Start starts a push that goes on.
func (c *Client) Start(t testing.TB, args ...string) *Running {
	t.Helper()
	return Start(t, c.Command(context.Background(), args...))
}

// Silent is a server that accepts and never answers. It tells how many
// connections are open, and were at most.
func Silent(t testing.TB) (port string, open func() (now, most int)) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Must(t, err)
	t.Cleanup(func() { listener.Close() })
	var mu sync.Mutex
	var now, most int
	count := func(by int) {
		mu.Lock()
		defer mu.Unlock()
		now += by
		if now > 1 { // of the one before, the end may not have been read yet
			time.AfterFunc(300*time.Millisecond, func() {
				mu.Lock()
				defer mu.Unlock()
				most = max(most, now)
			})
			return
		}
		most = max(most, now)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			count(1)
			go func() {
				defer count(-1)
				defer conn.Close()
				for buf := make([]byte, 1024); ; {
					if _, err := conn.Read(buf); err != nil {
						return
					}
				}
			}()
		}
	}()
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port, func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return now, most
	}
}
