package push

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dnsgate/test/rig"
)

var networks atomic.Int32

// newNetwork makes a network of its own for m: loopback, and an interface eth0
// at a cable that leads nowhere else.
func newNetwork(t *testing.T, m *machine) (ip func(args string)) {
	t.Helper()
	rig.Needs(t, "ip")
	rig.NeedsRoot(t)
	name := fmt.Sprintf("push-%d-%d", os.Getpid(), networks.Add(1))
	rig.Command(t, "ip", "netns", "add", name)
	t.Cleanup(func() { rig.Command(t, "ip", "netns", "del", name) })
	ip = func(args string) {
		t.Helper()
		rig.Command(t, append([]string{"ip", "-n", name}, strings.Fields(args)...)...)
	}
	m.in = []string{"ip", "netns", "exec", name}
	ip("link set lo up")
	ip("link add eth0 type veth peer name eth1")
	ip("link set eth1 up")
	ip("link set eth0 up")
	return ip
}

// watched starts a gateway and a push --watch in a network of their own.
func watched(t *testing.T, conf ...string) (g *gate, ip func(string), said *rig.Output, end func(os.Signal) int) {
	t.Helper()
	t.Parallel()
	m := newMachine(t)
	ip = newNetwork(t, m)
	g = newGate(t, m)
	m.configure(t, append([]string{"hosts home.example.test"}, conf...)...)
	said, _, end = m.start(t, "-v", "--watch")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("it said:\n%s", said)
		}
	})
	return g, ip, said, end
}

func TestWatchInterface(t *testing.T) {
	g, ip, said, end := watched(t, "address interface eth0")
	wait(t, "it looks", func() bool { return strings.Contains(said.String(), "no address to publish") })
	arrives := func(address string) {
		t.Helper()
		begun := time.Now()
		wait(t, address+" arrives", func() bool { return g.has(t, address) })
		t.Logf("%s was published after %v", address, time.Since(begun).Round(time.Millisecond))
	}
	ip("addr add 203.0.113.7/24 dev eth0")
	arrives("203.0.113.7")
	ip("addr add 203.0.113.8/24 dev eth0") // is secondary
	ip("-6 addr add 2001:db8::7/64 dev eth0 nodad")
	wait(t, "the IPv6 address arrives", func() bool {
		return strings.Contains(said.String(), "good 203.0.113.7,2001:db8::7") || strings.Contains(said.String(), "good 2001:db8::7")
	})
	ip("addr del 203.0.113.7/24 dev eth0")
	ip("addr replace 203.0.113.8/24 dev eth0")
	arrives("203.0.113.8")

	// Away is not gone: what was published stays.
	before := strings.Count(said.String(), "sending")
	ip("addr flush dev eth0")
	wait(t, "it sees that there is none", func() bool {
		return strings.Count(said.String(), "no address to publish") > 1 || strings.Contains(said.String(), "trying again in")
	})
	time.Sleep(3 * time.Second)
	if !g.has(t, "203.0.113.8") || strings.Contains(said.String(), "offline") || strings.Count(said.String(), "sending") != before {
		t.Errorf("after the addresses went away:\n%s", g.data(t))
	}
	ip("addr add 127.1.2.3/8 dev eth0")
	ip("addr add 192.168.7.1/24 dev eth0")

	// A gateway that is down is awaited.
	g.stop()
	ip("addr add 203.0.113.9/24 dev eth0")
	wait(t, "it cannot be reached", func() bool { return strings.Contains(said.String(), "cannot be reached") })
	g.serve(t)
	arrives("203.0.113.9")

	// Storms are one change.
	before = strings.Count(said.String(), "sending")
	for i := range 50 {
		ip(fmt.Sprintf("addr add 203.0.113.%d/24 dev eth0", 100+i))
	}
	ip("addr del 203.0.113.9/24 dev eth0")
	ip("addr add 198.51.100.7/24 dev eth0")
	if n := strings.Count(said.String(), "sending") - before; n > 25 {
		t.Errorf("it sent %d times", n)
	}
	if status := end(syscall.SIGTERM); status != 0 {
		t.Errorf("status %d", status)
	}
}

// TestWatchPeer checks that a new address of the machine makes the gateway look
// again, and that only one does.
func TestWatchPeer(t *testing.T) {
	g, ip, said, end := watched(t, "family 4")
	_ = g
	// The gateway refuses loopback's address; that is no end.
	sent := func(n int) func() bool {
		return func() bool { return strings.Count(said.String(), `"update home.example.test"`) >= n }
	}
	wait(t, "the first push", sent(1))
	ip("addr add 203.0.113.7/24 dev eth0")
	wait(t, "a second push", sent(2))
	ip("addr add 169.254.7.7/16 dev eth0") // link-local: nothing that the gateway could see
	ip("addr add 203.0.113.8/24 dev eth0")
	wait(t, "a third push", sent(3))
	time.Sleep(2 * time.Second)
	if sent(4)() {
		t.Error("more pushes than changes")
	}
	if status := end(syscall.SIGINT); status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestWatchFile(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	g := newGate(t, m)
	m.configure(t, "hosts home.example.test", "address file "+m.dir+"/address")
	said, _, end := m.start(t, "--watch")
	wait(t, "it looks", func() bool { return strings.Contains(said.String(), "is not there") })
	for i, text := range []string{"203.0.113.7\n", "203.0.113.8", "203.0.113", "203.0.113.9 2001:db8::9\n"} {
		rig.Write(t, m.dir+"/address", text, 0o644)
		if text == "203.0.113" {
			wait(t, "it complains", func() bool { return strings.Contains(said.String(), "is not an address; nothing was sent") })
		} else {
			wait(t, fmt.Sprintf("change %d", i), func() bool { return g.has(t, strings.Fields(text)[0]) })
		}
	}
	g.stop()
	rig.Write(t, m.dir+"/address", "203.0.113.10", 0o644)
	time.Sleep(6 * time.Second)
	if n := strings.Count(said.String(), "cannot be reached"); n != 1 {
		t.Errorf("a gateway that is down is told %d times", n)
	}
	g.serve(t)
	wait(t, "the last change", func() bool { return g.has(t, "203.0.113.10") })
	if status := end(syscall.SIGTERM); status != 0 {
		t.Errorf("status %d: %s", status, said)
	}
}

// TestWatchRenews checks that an address is sent again when the note of it is
// no longer fresh.
func TestWatchRenews(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	g := newGate(t, m)
	m.configure(t, "hosts home.example.test", "family 4", "address file "+m.dir+"/address")
	rig.Write(t, m.dir+"/address", "203.0.113.7", 0o644)
	note := m.dir + "/state/127.0.0.1:" + g.port + "/home.example.test/acked4"
	m.push(t).Expect(t, 0)
	rig.Write(t, note, fmt.Sprintf("%d 203.0.113.7\n", time.Now().Unix()-3597), 0o600)
	said, _, end := m.start(t, "-v", "--watch")
	wait(t, "it knows the note", func() bool { return strings.Contains(said.String(), "was acknowledged") })
	if strings.Contains(said.String(), "sending") {
		t.Error("what is fresh was sent")
	}
	wait(t, "it sends again", func() bool { return strings.Contains(said.String(), "nochg 203.0.113.7 home") })

	// Who takes the address away while it watches, is obeyed until there is news.
	m.push(t, "--offline").Expect(t, 0)
	time.Sleep(2 * time.Second)
	if g.has(t, "203.0.113.7") {
		t.Error("it does not let go")
	}
	rig.Write(t, m.dir+"/address", "203.0.113.8", 0o644)
	wait(t, "news", func() bool { return g.has(t, "203.0.113.8") })
	if status := end(syscall.SIGTERM); status != 0 {
		t.Errorf("status %d: %s", status, said)
	}
}

// TestWatchEndsAtOnce ends it in the middle of what may take long.
func TestWatchEndsAtOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	port, open := rig.Silent(t)
	m.pin(t, "x", m.read(t, "host.pub"))
	rig.Write(t, m.dir+"/slow", "#!/bin/sh\necho >>"+m.dir+"/begun\nexec sleep 60\n", 0o755)
	rig.Write(t, m.dir+"/yes", "#!/bin/sh\nexec yes 203.0.113.7\n", 0o755)

	m.configure(t, "host_key_alias x", "connect_timeout 60", "port "+port)
	_, _, end := m.start(t, "--watch")
	wait(t, "a connection", func() bool { now, _ := open(); return now == 1 })
	if status := end(syscall.SIGTERM); status != 0 {
		t.Errorf("status %d", status)
	}
	m.configure(t, "host_key_alias x", "port 1", "address command "+m.dir+"/slow")
	_, _, end = m.start(t, "--watch")
	wait(t, "the program runs", func() bool { _, err := os.Stat(m.dir + "/begun"); return err == nil })
	if status := end(syscall.SIGTERM); status != 0 {
		t.Errorf("status %d", status)
	}
	m.configure(t, "host_key_alias x", "port 1", "address command "+m.dir+"/yes")
	m.push(t, "-v").Expect(t, 75, "yes failed")
}

// TestInterfaceAsTheScript puts addresses on an interface, and compares which
// are chosen.
func TestInterfaceAsTheScript(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	ip := newNetwork(t, m)
	rig.Command(t, append(m.in, "sh", "-c", "cd /proc/sys/net/ipv6/conf/eth0 && echo 2 >use_tempaddr && echo 0 >dad_transmits")...)
	ours := m.in
	addresses := func() string {
		return rig.Command(t, append(append([]string{}, ours...), "ip", "-o", "addr", "show", "dev", "eth0")...)
	}
	for _, change := range []string{
		"link show", "addr add 192.168.7.1/24 dev eth0", "addr add 169.254.1.1/16 dev eth0", "addr add 203.0.113.7/24 dev eth0", "addr add 203.0.113.8/24 dev eth0",
		"addr add 198.51.100.1 peer 198.51.100.2 dev eth0", "addr del 203.0.113.7/24 dev eth0", "addr add 10.0.0.1/8 dev eth0 valid_lft 100 preferred_lft 0",
		"addr add fd00::7/64 dev eth0 nodad", "addr add 2001:db8:0:1::7/64 dev eth0 preferred_lft 0 nodad", "addr add 2001:db8:0:2::7/64 dev eth0 nodad",
		"addr add 2001:db8:0:3::7/64 dev eth0 valid_lft 7200 preferred_lft 3600 mngtmpaddr nodad", "addr del 2001:db8:0:2::7/64 dev eth0",
		"link set eth0 down", "link set eth0 up", "addr flush dev eth0 scope global",
	} {
		ip(change)
		time.Sleep(50 * time.Millisecond) // for a temporary address to be there
		for strings.Contains(addresses(), " tentative") {
			time.Sleep(50 * time.Millisecond) // else it becomes an address between the two
		}
		for _, conf := range []string{"", "private yes", "ipv6 temporary", "ipv6 any", "prefix 56", "private yes\nipv6 temporary\nfamily 6", "family 4"} {
			m.configure(t, "port 1", "address interface eth0", conf)
			we := m.push(t, "-v")
			cmd := append(append([]string{}, ours...), "dash", script, "--config", m.config, "-v")
			scripts := rig.Finish(t, exec.Command(cmd[0], cmd[1:]...))
			if we.Status != scripts.Status || we.Sent() != scripts.Sent() {
				t.Errorf("after %q, with %q: we send %q, the script %q\n%s", change, conf, we.Sent(), scripts.Sent(), addresses())
			}
		}
	}
}
