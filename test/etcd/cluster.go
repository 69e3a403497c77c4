package etcd

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dnsgate/test/rig"
)

// Cluster is a few nodes that belong together.
type Cluster struct {
	Nodes []*Node
	dir   string
	ctl   string
	flags []string // of etcdctl
}

// Node is one etcd.
type Node struct {
	URL     string // for clients
	Address string // of that URL
	args    []string
	log     string
	command *exec.Cmd
}

// Start starts nodes with these arguments besides, and waits until they answer.
// They end with the test.
func Start(t testing.TB, nodes int, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{dir: t.TempDir(), ctl: Tool(t, "etcdctl")}
	c.start(t, "http", nodes, args...)
	return c
}

func (c *Cluster) start(t testing.TB, scheme string, nodes int, args ...string) {
	t.Helper()
	var peers []string
	for i := range nodes {
		address, peer := freeAddress(t), "http://"+freeAddress(t)
		name := fmt.Sprintf("n%d", i)
		n := &Node{URL: scheme + "://" + address, Address: address, log: filepath.Join(c.dir, name+".log")}
		n.args = append([]string{
			"--name=" + name, "--data-dir=" + filepath.Join(c.dir, name), "--log-level=error",
			"--listen-client-urls=" + n.URL, "--advertise-client-urls=" + n.URL,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		}, args...)
		peers = append(peers, name+"="+peer)
		c.Nodes = append(c.Nodes, n)
	}
	for _, n := range c.Nodes {
		n.args = append(n.args, "--initial-cluster="+strings.Join(peers, ","))
		n.Start(t)
		t.Cleanup(n.Kill)
	}
	c.Await(t)
}

// URLs are those of all nodes.
func (c *Cluster) URLs() (urls []string) {
	for _, n := range c.Nodes {
		urls = append(urls, n.URL)
	}
	return urls
}

// Await waits until all nodes answer.
func (c *Cluster) Await(t testing.TB) {
	t.Helper()
	for range 300 {
		if out, err := c.ctlOf(c.URLs(), "endpoint", "health", "--command-timeout=1s"); err == nil && strings.Count(out, "is healthy") == len(c.Nodes) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, n := range c.Nodes {
		log, _ := os.ReadFile(n.log)
		t.Logf("%s", log[max(0, len(log)-2000):])
	}
	t.Fatal("etcd does not begin to answer")
}

// Ctl runs etcdctl with these words.
func (c *Cluster) Ctl(t testing.TB, words ...string) string {
	t.Helper()
	out, err := c.ctlOf(c.URLs(), words...)
	if err != nil {
		t.Fatalf("etcdctl %v: %v: %s", words, err, out)
	}
	return out
}

func (c *Cluster) ctlOf(urls []string, words ...string) (string, error) {
	out, err := exec.Command(c.ctl, append(append([]string{"--endpoints=" + strings.Join(urls, ",")}, c.flags...), words...)...).CombinedOutput()
	return string(out), err
}

// Leader is the node that leads, nil if none of those that answer does.
func (c *Cluster) Leader() *Node {
	for _, n := range c.Nodes {
		out, err := c.ctlOf([]string{n.URL}, "endpoint", "status", "--write-out=fields", "--command-timeout=1s")
		if err != nil {
			continue
		}
		var member, leader string
		for line := range strings.Lines(out) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), " : "); ok {
				switch strings.Trim(key, `"`) {
				case "MemberID":
					member = value
				case "Leader":
					leader = value
				}
			}
		}
		if member != "" && member == leader {
			return n
		}
	}
	return nil
}

// Start starts a node that does not run.
func (n *Node) Start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	n.command = exec.Command(Tool(t, "server"), n.args...)
	n.command.Stdout, n.command.Stderr = log, log
	n.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.command.Start(); err != nil {
		t.Fatal(err)
	}
}

// Kill ends a node at once.
func (n *Node) Kill() {
	if n.command != nil {
		n.command.Process.Kill()
		n.command.Wait()
		n.command = nil
	}
}

// Stop stops a node with SIGSTOP, and Continue lets it go on.
func (n *Node) Stop()     { n.command.Process.Signal(syscall.SIGSTOP) }
func (n *Node) Continue() { n.command.Process.Signal(syscall.SIGCONT) }

// Log is what a node wrote.
func (n *Node) Log() string {
	text, _ := os.ReadFile(n.log)
	return string(bytes.TrimSpace(text))
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Revision is etcd's own.
func (c *Cluster) Revision(t testing.TB) string {
	t.Helper()
	for line := range strings.Lines(c.Ctl(t, "get", "x", "--write-out=fields")) {
		if revision, ok := strings.CutPrefix(line, `"Revision" : `); ok {
			return strings.TrimSpace(revision)
		}
	}
	t.Fatal("etcd tells no revision")
	return ""
}

// Resident is a node's memory in bytes.
func (n *Node) Resident(t testing.TB) int {
	t.Helper()
	kib, err := rig.Memory(n.command.Process.Pid, "VmRSS")
	rig.Must(t, err)
	return kib << 10
}
