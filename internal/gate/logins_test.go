package gate_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/gate"

	gossh "golang.org/x/crypto/ssh"
)

// ended reports whether the gateway has closed the client's connection.
func ended(client *gossh.Client) bool {
	_, _, err := client.SendRequest("keepalive@openssh.com", true, nil)
	return err != nil
}

// logged waits until the log has text.
func (g *gateway) logged(text string) {
	g.Helper()
	for range 100 {
		if strings.Contains(g.log.String(), text) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	g.Errorf("the log lacks %q:\n%s", text, g.log)
}

// TestLogins fills the places of one key, and then all places.
func TestLogins(t *testing.T) {
	g := open(t, func(o *gate.Options) { o.Limits.MaxLogins, o.Limits.MaxLoginsPerKey = 5, 3 })
	greedy, modest := newKey(t), newKey(t)
	g.authorize(grant(greedy, "greedy.example.com"), grant(modest, "modest.example.com"))

	var held []*gossh.Client
	for range 3 {
		held = append(held, g.mustDial(greedy))
	}
	if out, status, err := run(held[0], "whoami"); err != nil || status != 0 {
		t.Fatal(out, status, err)
	}
	held = append(held, g.mustDial(greedy)) // over its own number: its longest idle one goes
	if ended(held[0]) || !ended(held[1]) || ended(held[2]) {
		t.Error("not the longest idle connection of the key went")
	}

	// A batch keeps its connection busy: none of these goes.
	busy := []*gossh.Client{held[0], held[2], held[3]}
	var batches []gossh.Channel
	for _, client := range busy {
		batches = append(batches, startBatch(t, client))
	}
	if _, err := g.dial(greedy); err == nil {
		t.Error("a busy connection went, or the key has one more than it may")
	}
	g.logged("too many connections")

	// All places are taken; one of the key with the most goes.
	first := g.mustDial(modest)
	second := g.mustDial(modest)
	g.update() // of a third key, whose connections are gone before
	if !ended(first) || ended(second) {
		t.Error("not the longest idle connection of the key with the most that is idle went")
	}
	for i, channel := range batches {
		channel.CloseWrite()
		io.Copy(io.Discard, channel)
		busy[i].Close()
	}
	second.Close()
	g.recovered()
}

// TestOneKeyHarmsNoOther has one key open connections that wait for their
// command with input sent, as fast as it can, while another key updates.
func TestOneKeyHarmsNoOther(t *testing.T) {
	g := open(t, func(o *gate.Options) { o.Limits.MaxLogins, o.Limits.MaxLoginsPerKey = 100, 64 })
	attacker := newKey(t)
	g.authorize(grant(attacker, "attacker.example.com"))
	var conns []*raw
	for i := range times(160, 2560) {
		c := dialAuth(t, g.addr)
		c.login(t, attacker)
		fillWindow(t, c)
		conns = append(conns, c)
		if i%20 == 0 {
			g.update()
		}
	}
	for range 100 { // those that had to go are counted until they have gone
		if g.Connections().Authenticated <= 64 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if n := g.Connections().Authenticated; n > 64 {
		t.Errorf("%d connections of one key", n)
	}
	if held := g.held(); held > 64 {
		t.Errorf("%d MiB held for one key", held)
	}
	for _, c := range conns {
		c.Close()
	}
	g.recovered()
}

// fillWindow opens a channel without a command and sends 300 KB.
func fillWindow(t testing.TB, c *raw) {
	t.Helper()
	channel := c.session(t)
	c.Conn.SetWriteDeadline(time.Now().Add(time.Second)) // the gateway need not read it
	for range 10 {
		if c.send(channelData{channel, make([]byte, 30_000)}) != nil {
			return
		}
	}
}

// TestSlowedNotShutOut has a source fail to log in until it is slowed; a good
// key behind the same address still updates.
func TestSlowedNotShutOut(t *testing.T) {
	g := open(t, func(o *gate.Options) { o.Limits.Penalties = true })
	g.slow()
	g.getsIn(50)
	g.recovered()
}

// TestTurnedAway reads what the gateway says to those it turns away: a whole
// SSH disconnect message, and an end that is no reset, even for a client that
// has sent its own lines. More than 200 at once get nothing.
func TestTurnedAway(t *testing.T) {
	g := open(t, func(o *gate.Options) { o.Limits.PerSourceStartups = 1 })
	first := dialRaw(t, g.addr)
	nc := mustConnect(t, g.addr)
	nc.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n" + strings.Repeat("x", 2000)))
	said, err := io.ReadAll(nc)
	if err != nil {
		t.Errorf("the connection ended with %v", err)
	}
	version, packet, _ := bytes.Cut(said, []byte("\r\n"))
	if string(version) != "SSH-2.0-dnsgate" || len(packet) < 24 || len(packet)%8 != 0 || packet[5] != 1 ||
		!bytes.Contains(packet, []byte("Exceeded MaxStartups: ")) {
		t.Errorf("%q", said)
	}
	nc.Close()
	silent := 0
	var crowd []net.Conn
	for range 250 {
		crowd = append(crowd, mustConnect(t, g.addr))
	}
	for _, nc := range crowd {
		nc.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, _ := nc.Read(make([]byte, 10)); n == 0 {
			silent++
		}
		nc.Close()
	}
	t.Logf("%d of 250 were told nothing", silent) // none, where the machine is slow
	first.Close()
	for range 100 {
		if g.Connections().Unauthenticated == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	g.recovered()
}

// TestBoundsFitTheUnit adds up what SECURITY.md bounds, and wants it to fit in
// the MemoryMax of the unit.
func TestBoundsFitTheUnit(t *testing.T) {
	unit, err := os.ReadFile("../../dist/dnsgate.service")
	if err != nil {
		t.Fatal(err)
	}
	most := regexp.MustCompile(`(?m)^MemoryMax=(\d+)M$`).FindSubmatch(unit)
	if most == nil {
		t.Fatal("no MemoryMax")
	}
	limit, _ := strconv.Atoi(string(most[1]))
	template, err := os.ReadFile("../config/dnsgate.toml")
	if err != nil {
		t.Fatal(err)
	}
	value := func(key string) int {
		found := regexp.MustCompile(`(?m)^` + key + ` = (\d+)`).FindSubmatch(template)
		if found == nil {
			t.Fatalf("no %s in the template", key)
		}
		n, _ := strconv.Atoi(string(found[1]))
		return n
	}
	sum := 0
	for _, bound := range []struct {
		what  string
		count int
		each  int // bytes
	}{
		{"connections that log in", value("max_startups"), 96 << 10},
		{"connections turned away", gate.MaxTurning, 8 << 10},
		{"proven connections", value("max_logins"), 55 << 10},
		{"read ahead of their own", value("max_logins"), gate.OwnReadAhead},
		{"unsent of their own", value("max_logins"), 2 * gate.OwnOutgoing},
		{"read ahead and unsent, shared", 1, gate.MaxSharedReadAhead},
		{"first channels", value("max_logins"), 16 << 10},
		{"further channels", gate.MaxSharedChannels, 16 << 10},
		{"input of batches", 32 + 16, 2 << 20},
		{"lines of batches", 32*256 + 8192, 10 << 10},
		{"hosts", value("max_hosts"), 300},
		{"screens", 4, 16 << 20},
		{"hosts that screens show", 2 * 100_000, 150}, // also those that replace them
		{"the program at rest", 1, 16 << 20},
	} {
		t.Logf("%-24s %4d MiB", bound.what, bound.count*bound.each>>20)
		sum += bound.count * bound.each
	}
	if sum > limit<<20 {
		t.Errorf("%d MiB in all, MemoryMax is %d MiB", sum>>20, limit)
	}
}

// TestKeyThatHasJustGone: a client whose key is not in the file for a moment
// is refused, but its source is not penalized, however often it tries.
func TestKeyThatHasJustGone(t *testing.T) {
	g := open(t, func(o *gate.Options) { o.Limits.Penalties = true })
	client := newKey(t)
	g.authorize(grant(client, "away.example.com"))
	g.authorize() // it is gone
	for range 8 {
		if _, err := g.dialFrom("127.0.0.3", gossh.PublicKeys(client)); err == nil || strings.Contains(err.Error(), "Not allowed at this time") {
			t.Fatal(err)
		}
	}
	g.authorize(grant(client, "away.example.com"))
	back, err := g.dialFrom("127.0.0.3", gossh.PublicKeys(client))
	if err != nil {
		t.Fatal(err)
	}
	g.expect(back, "update 203.0.113.9", "good ")
	back.Close()
	g.recovered()
}

// slow has strangers fail to log in from 127.0.0.3 until that source is slowed.
func (g *gateway) slow() {
	g.Helper()
	stranger, told := newKey(g), false
	for range 20 {
		_, err := g.dialFrom("127.0.0.3", gossh.PublicKeys(stranger))
		if err == nil {
			g.Fatal("a stranger logs in")
		}
		if told = strings.Contains(err.Error(), "Not allowed at this time"); told {
			break
		}
	}
	if !told {
		g.Error("the source was never slowed, or not told so")
	}
}

// getsIn has the owner log in from that source, after so many tries at the most.
func (g *gateway) getsIn(tries int) {
	g.Helper()
	for try := 1; ; try++ {
		client, err := g.dialFrom("127.0.0.3", gossh.PublicKeys(g.owner))
		if err == nil {
			g.expect(client, "update 203.0.113.9", "good ")
			client.Close()
			return
		}
		if try == tries {
			g.Fatalf("shut out: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestSlowedHolder: a connection of a slowed source that says nothing does not
// shut out a good key behind the same address.
func TestSlowedHolder(t *testing.T) {
	g := open(t, func(o *gate.Options) { o.Limits.Penalties = true })
	g.slow()
	for held := false; !held; time.Sleep(100 * time.Millisecond) { // until it has the source's one place
		holder, err := connect("127.0.0.3", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		holder.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		text, err := io.ReadAll(holder)
		held = errors.Is(err, os.ErrDeadlineExceeded) && !bytes.Contains(text, []byte("Not allowed"))
		if held {
			defer holder.Close()
		} else {
			holder.Close()
		}
	}
	g.getsIn(100)
	g.recovered()
}
