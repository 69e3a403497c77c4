package command

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"dnsgate/test/rig"
)

// A key with a pattern cannot fill the store, and not keep others' names out.
func TestMaxHosts(t *testing.T) {
	g, _ := newGateway(t)
	most := 3
	g.MaxHosts = func() int { return most }
	pattern := newClient(t, g, "allow --acme .lab.example.com")
	exact := newClient(t, g, "allow --acme home.example.com *.other.example.com")
	for _, host := range []string{"a", "b", "c"} {
		pattern.expect(0, "update "+host+".lab.example.com 192.0.2.1", "good ...")
	}
	const full = "911 d.lab.example.com would be a new name, and the gateway has as many as it may, 3; its operator can raise max_hosts"
	pattern.expect(75, "update d.lab.example.com 192.0.2.1", full)
	pattern.expect(75, "update a.lab.example.com d.lab.example.com 192.0.2.2", full)
	pattern.expect(75, "acme add a.lab.example.com token", "911 _acme-challenge.a.lab.example.com would be ...")
	pattern.expect(0, "list", "a.lab... 192.0.2.1", "b.lab...", "c.lab...")
	pattern.expect(0, "update a.lab.example.com 192.0.2.2", "good ...")
	pattern.expect(0, "offline d.lab.example.com", "nochg - d.lab.example.com")

	exact.expect(0, "update 192.0.2.1", "good ...", "good ...")
	exact.expect(0, "acme add home.example.com token", "good home.example.com")

	pattern.expect(0, "offline b.lab.example.com", "good ...") // its place is free for any name, but there are five others
	pattern.expect(75, "update d.lab.example.com 192.0.2.1", full)
	pattern.expect(75, "update b.lab.example.com 192.0.2.1", "911 b.lab.example.com would be ...")
	most = 7
	pattern.expect(0, "update d.lab.example.com 192.0.2.1", "good ...")
}

// TestRoomComesBack has one key use up all places, take all its names offline,
// and use them up again with others, for ever: there is room for another key's
// name each time, and the store does not grow.
func TestRoomComesBack(t *testing.T) {
	dir := t.TempDir()
	g, p := gatewayIn(t, dir)
	const most = 20
	limit := func(g *Interpreter) { g.MaxHosts = func() int { return most } }
	limit(g)
	greedy := newClient(t, g, "allow .greedy.example.com")
	for round := range 5 {
		other := newClient(t, g, "allow .lab.example.com")
		name := func(i int) string { return fmt.Sprintf("n%d-%d.greedy.example.com", round, i) }
		for i := range most {
			greedy.expect(0, "update "+name(i)+" 192.0.2.1", "good ...")
		}
		other.expect(75, "update a.lab.example.com 192.0.2.1", "911 ...")
		for i := range most {
			greedy.expect(0, "offline "+name(i), "good ...")
		}
		// As long as a publisher has not taken them away, they are known.
		other.expect(75, "update a.lab.example.com 192.0.2.1", "911 ...")
		p.mu.Lock()
		p.reached = g.Store.Revision()
		p.mu.Unlock()
		other.expect(0, "update a.lab.example.com 192.0.2.1", "good ...")
		other.expect(0, "offline a.lab.example.com", "good ...")
		if n := g.Store.Names(); n > most {
			t.Errorf("%d names are known after round %d", n, round)
		}
		p.reached = g.Store.Revision()
	}
	greedy.expect(0, "history n0-1.greedy.example.com") // its history goes with it, but nothing fails
	greedy.expect(0, "update n0-1.greedy.example.com 192.0.2.1", "good ...")
	rig.Must(t, g.Store.(closing).Close())
	g, _ = gatewayIn(t, dir)
	if n := g.Store.Len(); n != 1 {
		t.Errorf("%d hosts after a restart", n)
	}
}

// TestRoomOfAKey: the patterns of one key have a share, after a restart too;
// the names that its line spells out, and other keys, are not in it.
func TestRoomOfAKey(t *testing.T) {
	dir := t.TempDir()
	g, _ := gatewayIn(t, dir)
	limit := func() int { return 3 }
	g.MaxKeyHosts = limit
	c := newClient(t, g, "allow .lab.example.com home.example.com")
	for _, host := range []string{"a", "b", "c"} {
		c.expect(0, "update "+host+".lab.example.com 192.0.2.1", "good ...")
	}
	const full = "911 d.lab.example.com would be a new name, and this key's patterns have made as many as they may, 3; ..."
	c.expect(75, "update d.lab.example.com 192.0.2.1", full)
	c.expect(0, "update home.example.com 192.0.2.1", "good ...")
	c.expect(0, "update a.lab.example.com 192.0.2.2", "good ...")
	other := newClient(t, g, "allow .lab.example.com")
	other.grant.Fingerprint = "SHA256:other"
	other.expect(0, "update d.lab.example.com 192.0.2.1", "good ...")
	other.expect(0, "update a.lab.example.com 192.0.2.3", "good ...") // it is still the first key's
	rig.Must(t, g.Store.(closing).Close())

	g, _ = gatewayIn(t, dir)
	g.MaxKeyHosts = limit
	c.gate = g
	c.expect(75, "update e.lab.example.com 192.0.2.1", "911 e.lab.example.com would be ...")
	c.expect(0, "offline b.lab.example.com", "good ...")
	c.expect(0, "update e.lab.example.com 192.0.2.1", "good ...")
}

// TestRoomIsReserved: the names of one command, and those of changes that are
// under way, count before they are stored.
func TestRoomIsReserved(t *testing.T) {
	g, p := newGateway(t)
	g.MaxKeyHosts = func() int { return 3 }
	g.MaxHosts = func() int { return 3 }
	c := newClient(t, g, "allow .lab.example.com")
	c.expect(75, "update a.lab.example.com b.lab.example.com c.lab.example.com d.lab.example.com 192.0.2.1", "911 d.lab.example.com would be ...")
	c.expect(0, "list")
	p.mu.Lock()
	p.wait = func(context.Context) error { time.Sleep(20 * time.Millisecond); return nil } // so that lines gather
	p.mu.Unlock()
	var lines strings.Builder
	for i := range 40 {
		fmt.Fprintf(&lines, "n%d.lab.example.com 192.0.2.1\n", i)
	}
	good := 0
	for range 3 { // a name may count twice for a moment, as stored and as under way
		c.in = strings.NewReader(lines.String())
		out, _ := c.run("update -")
		if good += strings.Count(out, "good "); good == 0 || good != g.Store.Len() || good > 3 {
			t.Errorf("%d are good, %d hosts are stored", good, g.Store.Len())
		}
	}
	if good != 3 {
		t.Errorf("%d are good at last", good)
	}
	if g.rooms.all != 0 || len(g.rooms.by) != 0 {
		t.Errorf("reserved stays %d, %v", g.rooms.all, g.rooms.by)
	}
}

// TestRoomBesideAFailure: a host that a publisher cannot serve keeps no place of
// others; one that it cannot take away stays known.
func TestRoomBesideAFailure(t *testing.T) {
	g, p := newGateway(t)
	g.MaxHosts = func() int { return 3 }
	c := newClient(t, g, "allow .lab.example.com")
	for _, host := range []string{"a", "b", "c"} {
		c.expect(0, "update "+host+".lab.example.com 192.0.2.1", "good ...")
	}
	c.expect(0, "offline b.lab.example.com c.lab.example.com", "good ...", "good ...")
	p.mu.Lock()
	p.reached, p.failed = g.Store.Revision(), 1
	p.kept = g.Store.Revision() // c or b is still to be taken away
	p.mu.Unlock()
	c.expect(75, "update d.lab.example.com 192.0.2.1", "911 ...")
	p.mu.Lock()
	p.kept = 0 // what fails is a host with an address
	p.mu.Unlock()
	c.expect(0, "update d.lab.example.com 192.0.2.1", "good ...")
}
