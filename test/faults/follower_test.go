package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dnsgate/test/rig"

	"golang.org/x/crypto/ssh"
)

// follower is another machine's set-up of dnsgate, which follows a gateway.
type follower struct {
	dir     string
	process *rig.Running // the one started last
}

// newFollowed is a gateway that has the same port after each start.
func newFollowed(t *testing.T, oldNew ...string) *gateway {
	t.Helper()
	g := newGateway(t, oldNew...)
	samePort(t, g)
	return g
}

func samePort(t *testing.T, g *gateway) {
	t.Helper()
	g.Start(t)
	g.Configure(t, `"127.0.0.1:0"`, `"`+g.Address()+`"`)
	rig.Must(t, os.WriteFile(g.Path("root", "data"), []byte(followedZone), 0o644))
	g.Say(g.admin, "rebuild")
}

// followedZone is the same on both ends, its serial too.
const followedZone = "Z" + zone + ":ns." + zone + ":hostmaster." + zone + ":1\n&" + zone + ":127.0.0.1:ns." + zone + "\n"

// newFollower makes a follower of g in dir.
func newFollower(t *testing.T, g *gateway, dir string) *follower {
	t.Helper()
	f := &follower{dir: dir}
	rig.Must(t, os.MkdirAll(f.path("root"), 0o755))
	rig.Must(t, os.WriteFile(f.path("root", "data"), []byte(followedZone), 0o644))
	rig.Keygen(t, f.path("id_ed25519"))
	g.Allow(t, rig.Read(t, f.path("id_ed25519.pub")), "--follow", "."+zone)
	rig.Must(t, os.WriteFile(f.path("known_hosts"), fmt.Appendf(nil, "[127.0.0.1]:%s %s", g.Port(), g.HostKey(t)), 0o644))
	rig.Must(t, os.WriteFile(f.path("dnsgate.toml"), fmt.Appendf(nil, "[limits]\nmax_hosts = 200000\n[follow]\ngateway = [%q]\nnames = [%q]\n[tinydns]\n", g.Address(), "."+zone), 0o644))
	return f
}

func (f *follower) path(parts ...string) string {
	return filepath.Join(append([]string{f.dir}, parts...)...)
}

// start follows, as the program that words before it say.
func (f *follower) start(t *testing.T, wrap ...string) {
	t.Helper()
	words := append(slices.Clone(wrap), rig.Dnsgate(t), "follow", "--config="+f.path("dnsgate.toml"))
	f.process = rig.Start(t, exec.CommandContext(context.Background(), words[0], words[1:]...))
}

func (f *follower) kill(t *testing.T) { f.process.End(t, syscall.SIGKILL) }

// admin runs a command on the follower that runs.
func (f *follower) admin(t *testing.T, words ...string) string {
	t.Helper()
	c := exec.Command(rig.Dnsgate(t), append([]string{"admin", "--config", f.path("dnsgate.toml")}, words...)...)
	out, err := c.Output()
	if err != nil {
		t.Fatalf("admin %q: %v\n%s", words, err, f.process)
	}
	return string(out)
}

// served is the address that its data.cdb has for a host.
func (f *follower) served(t *testing.T, host string) string {
	t.Helper()
	return (&rig.Gateway{Dir: f.dir, Program: rig.Dnsgate(t)}).Served(host)
}

// awaits waits until the follower serves a host so.
func (f *follower) awaits(t *testing.T, host, address string) {
	t.Helper()
	rig.Wait(t, "the follower serves "+host+" at "+address, func() bool { return f.served(t, host) == address })
}

// lines are those of dnsgate's data file in a root, in order.
func lines(t *testing.T, root string) []string {
	t.Helper()
	return slices.Sorted(strings.Lines(rig.Read(t, filepath.Join(root, "dnsgate"))))
}

// stream is a follower's end of a stream by hand.
type stream struct {
	conn *ssh.Client
	said *rig.Output // what was read
}

// manner is what a follower by hand does with its stream.
type manner int

const (
	acknowledging manner = iota // it reads, and says that everything is served
	silent                      // it reads, and says nothing
	unread                      // it does not read
)

// follow begins a stream.
func follow(t *testing.T, g *gateway, key ssh.Signer, does manner) *stream {
	t.Helper()
	conn, err := g.Dial(key)
	rig.Must(t, err)
	t.Cleanup(func() { conn.Close() })
	session, err := conn.NewSession()
	rig.Must(t, err)
	s := &stream{conn, new(rig.Output)}
	in, err := session.StdinPipe() // left open, or the stream would end
	rig.Must(t, err)
	switch does {
	case acknowledging:
		session.Stdout = acknowledger{s.said, in}
	case silent:
		session.Stdout = s.said
	case unread:
		_, err = session.StdoutPipe() // its window fills
		rig.Must(t, err)
	}
	rig.Must(t, session.Start("follow"))
	return s
}

// acknowledger says that everything is served.
type acknowledger struct {
	said *rig.Output
	in   interface{ Write([]byte) (int, error) }
}

var groupEnd = regexp.MustCompile(`(?m)^# at (\d+) `)

func (a acknowledger) Write(p []byte) (int, error) {
	a.said.Write(p)
	for _, end := range groupEnd.FindAllSubmatch(p, -1) {
		fmt.Fprintf(a.in, "at %s\n", end[1])
	}
	return len(p), nil
}
