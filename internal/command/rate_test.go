package command

import (
	"fmt"
	"testing"
	"time"

	"dnsgate/internal/records"
)

// TestRates walks the clock: a burst of the limit at once, then one each step.
func TestRates(t *testing.T) {
	now := time.Unix(1800000000, 0)
	r := NewRates(6)
	r.now = func() time.Time { return now }
	a, both := []records.Name{"a.example.com"}, []records.Name{"a.example.com", "b.example.com"}
	for i := range 6 {
		if wait, _ := r.take("key", a); wait != 0 {
			t.Fatalf("update %d has to wait %s", i, wait)
		}
	}
	for range 100 { // what is refused does not count
		if wait, name := r.take("key", both); wait != 10*time.Second || name != "a.example.com" {
			t.Fatalf("the seventh has to wait %s for %s, want 10s", wait, name)
		}
	}
	if wait, _ := r.take("other key", a); wait != 0 {
		t.Error("another key has to wait as well")
	}
	if wait, _ := r.take("key", both[1:]); wait != 0 {
		t.Error("another host has to wait as well")
	}
	now = now.Add(10 * time.Second)
	if wait, _ := r.take("key", a); wait != 0 {
		t.Errorf("after 10 s the next has to wait %s", wait)
	}
	if wait, _ := r.take("key", a); wait != 10*time.Second {
		t.Errorf("and the one after it %s, want 10s", wait)
	}
	r.giveBack("key", a)
	if wait, _ := r.take("key", a); wait != 0 {
		t.Errorf("one that was given back has to wait %s", wait)
	}
	r.Set(60)
	if wait, _ := r.take("key", both[1:]); wait != 0 {
		t.Errorf("a higher limit has one wait %s", wait)
	}
	r.Set(0)
	for range 100 {
		if wait, _ := r.take("key", a); wait != 0 {
			t.Fatal("no limit has one wait")
		}
	}
	r.giveBack("key", a)
}

// TestRatesForget: memory is for those who came in the last minute.
func TestRatesForget(t *testing.T) {
	now := time.Unix(1800000000, 0)
	r := NewRates(30)
	r.now = func() time.Time { return now }
	for i := range 1000 {
		r.take("key", []records.Name{records.Name(fmt.Sprintf("h%d.example.com", i))})
	}
	now = now.Add(2 * time.Minute)
	r.take("key", []records.Name{"a.example.com"})
	if len(r.whole) != 1 {
		t.Errorf("%d pairs are remembered, want 1", len(r.whole))
	}
	r.giveBack("key", []records.Name{"gone.example.com"})
	if len(r.whole) != 1 {
		t.Error("giving back what is forgotten remembers it again")
	}
}

// TestAbuse: the whole command is refused or taken.
func TestAbuse(t *testing.T) {
	g, _ := newGateway(t)
	g.Rates = NewRates(2)
	c := newClient(t, g, "allow --acme a.example.com b.example.com")
	c.play([]step{
		{"update a.example.com 192.0.2.1", 0, "good 192.0.2.1 a.example.com"},
		{"offline a.example.com", 0, "good - a.example.com"},
		{"update 192.0.2.2", 75, "abuse too many updates of a.example.com; try again in ... seconds"},
		{"offline", 75, "abuse too many updates of a.example.com; try again in ... seconds"},
		{"acme add a.example.com x", 0, "good a.example.com"}, // a name of its own
		{"acme del a.example.com x", 0, "good a.example.com"},
		{"acme del a.example.com x", 75, "abuse too many updates of _acme-challenge.a.example.com; ..."},
		{"update --dry-run a.example.com 192.0.2.2", 0, "good 192.0.2.2 a.example.com"},
		{"update b.example.com 192.0.2.2", 0, "good 192.0.2.2 b.example.com"},
		{"update c.example.com 192.0.2.2", 77, "nohost c.example.com is not this key's"},
		{"list", 0, "b.example.com. 300 IN A 192.0.2.2"},
	})
	newClient(t, g, "admin").expect(0, "offline b.example.com", "good - b.example.com")
	newClient(t, g, "admin").expect(0, "offline b.example.com", "nochg - b.example.com")
	newClient(t, g, "admin").expect(0, "offline b.example.com", "nochg - b.example.com")
}

func TestAbuseForASecond(t *testing.T) {
	now := time.Now()
	g, _ := newGateway(t)
	g.Rates = NewRates(60)
	g.Rates.now = func() time.Time { return now }
	c := newClient(t, g, "allow a.example.com")
	for range 60 {
		c.expect(0, "update 192.0.2.1", "... 192.0.2.1 a.example.com")
	}
	c.expect(75, "update 192.0.2.1", "abuse too many updates of a.example.com; try again in 2 seconds")
	now = now.Add(500 * time.Millisecond)
	c.expect(75, "update 192.0.2.1", "abuse too many updates of a.example.com; try again in 1 second")
}

// TestRatesStaySmall: what was refused leaves nothing behind, and what was not does
// not stay for long.
func TestRatesStaySmall(t *testing.T) {
	g, _ := newGateway(t)
	g.Rates = NewRates(30)
	c := newClient(t, g, "allow .lab.example.com")
	for i := range 100 {
		c.expect(65, fmt.Sprintf("update n%d.lab.example.com 2001:db8:1::/64", i), "badaddr ...")
	}
	if n := len(g.Rates.whole); n != 0 {
		t.Errorf("%d are kept of refused updates", n)
	}
	now := time.Now()
	r := NewRates(30)
	r.now = func() time.Time { return now }
	for i := range 200_000 {
		now = now.Add(100 * time.Microsecond)
		r.take("key", []records.Name{records.Name(fmt.Sprintf("n%d.example.com", i))})
	}
	if n := len(r.whole); n > 60_000 {
		t.Errorf("%d are kept", n)
	}
}
