package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records"
)

func fixed(grant authkeys.Grant) func() (authkeys.Grant, error) {
	return func() (authkeys.Grant, error) { return grant, nil }
}

// TestPublished: good and nochg are only said once the very revision is
// published; a failure is dnserr, and stored.
func TestPublished(t *testing.T) {
	g, p := newGateway(t)
	c := newClient(t, g, "allow a.example.com b.example.com")
	c.expect(0, "update a.example.com 192.0.2.1", "good ...")
	c.expect(0, "update b.example.com 192.0.2.1", "good ...")
	c.expect(0, "update 192.0.2.1", "nochg 192.0.2.1 a.example.com", "nochg 192.0.2.1 b.example.com")
	want := []wait{{[]records.Name{"a.example.com"}, 1}, {[]records.Name{"b.example.com"}, 2}, {[]records.Name{"a.example.com", "b.example.com"}, 2}}
	if !slices.EqualFunc(p.waits, want, func(a, b wait) bool { return a.revision == b.revision && slices.Equal(a.names, b.names) }) {
		t.Errorf("waited for %v, want %v", p.waits, want)
	}
	p.waits = nil
	c.expect(0, "update --dry-run 192.0.2.2", "good ...", "good ...")
	c.expect(0, "list", "...", "...")
	if len(p.waits) != 1 || p.waits[0].revision != 0 {
		t.Errorf("a dry run and a list waited for %v", p.waits)
	}

	p.wait = func(context.Context) error { return errors.New("tinydns: root/data:7: no\tgood") }
	c.expect(75, "update 192.0.2.3", "dnserr stored, but not published: the name server could not be updated; the gateway goes on trying")
	p.wait = func(context.Context) error {
		return fmt.Errorf("tinydns: root/data:7: %w", toldError("b.example.com is\tgood"))
	}
	c.expect(75, "update 192.0.2.3", "dnserr stored, but not published: b.example.com is?***; the gateway goes on trying")
	newClient(t, g, "admin").expect(75, "offline a.example.com", "dnserr stored, but not published: tinydns: root/data:7: b.example.com is?***; the gateway goes on trying")
	c.expect(75, "update 192.0.2.3", "dnserr stored, but not published: ...")
	c.expect(75, "offline -6", "dnserr stored, but not published: ...")
	c.expect(0, "list a.example.com", "a.example.com. 300 IN A 192.0.2.3")

	p.wait = func(context.Context) error { return toldError("no name server here serves a.example.com") }
	for _, line := range []string{"update 192.0.2.3", "offline b.example.com"} {
		c.expect(75, line, "dnserr stored, but not published: no name server here serves a.example.com; the gateway goes on trying")
	}
	never := newClient(t, g, "allow --acme never.example.com")
	for _, line := range []string{"update --dry-run 192.0.2.3", "offline", "acme del never.example.com x"} {
		never.expect(75, line, "dnserr no name server here serves a.example.com")
	}

	g.PublishTimeout = time.Millisecond
	p.wait = func(ctx context.Context) error { <-ctx.Done(); return errors.New("tinydns: not in time") }
	c.expect(75, "update 192.0.2.4", "dnserr stored, but not published within 1ms; the gateway goes on trying")
}

// toldError is a publisher's error that says what a client is told.
type toldError string

func (e toldError) Error() string     { return string(e) }
func (e toldError) ForClient() string { return string(e) }

// TestGrantIsAskedWhenStored takes the key away, or narrows its line, at each
// look that the gateway takes at it. Whatever was looked at before, nothing is
// stored by a grant that is gone.
func TestGrantIsAskedWhenStored(t *testing.T) {
	for _, line := range []string{"update 192.0.2.1", "update -", "acme add a.example.com value", "offline"} {
		for name, later := range map[string]func(authkeys.Grant) (authkeys.Grant, error){
			"removed":  func(authkeys.Grant) (authkeys.Grant, error) { return authkeys.Grant{}, errors.New("this key is gone") },
			"narrowed": func(g authkeys.Grant) (authkeys.Grant, error) { g.Hosts = g.Hosts[:1]; return g, nil },
			"private":  func(g authkeys.Grant) (authkeys.Grant, error) { g.Private = false; return g, nil },
		} {
			for at := 1; ; at++ {
				g, _ := newGateway(t)
				c := newClient(t, g, "allow --acme --private a.example.com b.example.com")
				granted := c.grant
				c.expect(0, "update 192.0.2.9", "good ...", "good ...")
				before := g.Store.Revision()
				looks := 0
				c.lookup = func() (authkeys.Grant, error) {
					if looks++; looks >= at {
						return later(granted)
					}
					return granted, nil
				}
				c.in = strings.NewReader("192.0.2.1\n")
				out, _ := c.run(line)
				if looks < at {
					if at <= 2 {
						t.Errorf("%s: %d looks", line, looks)
					}
					break // the change was made before
				}
				if name != "removed" && at < looks {
					continue // it was seen in time: what it still allows is done
				}
				if got := g.Store.Revision(); got != before {
					t.Errorf("%s, %s at look %d of %d: stored; %q", line, name, at, looks, out)
				}
			}
		}
	}
}

// TestStoreFails: 911, nothing stored, and the rate is given back.
func TestStoreFails(t *testing.T) {
	g, _ := newGateway(t)
	g.Rates = NewRates(1)
	c := newClient(t, g, "allow a.example.com")
	g.Store.(io.Closer).Close()
	soon := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		t.Cleanup(cancel)
		c.ctx = ctx
	}
	for range 3 {
		soon()
		c.expect(75, "update 192.0.2.1", "911 ...; try again later")
	}
	soon()
	c.in = strings.NewReader("192.0.2.1\n")
	c.expect(75, "update -", "911 ...") // of the store, or of the time that was up
	c.in = nil
	c.expect(75, "history", "911 ...")
	newClient(t, g, "admin").expect(75, "backup", "911 the backup is not whole: ...")
}

// TestAllOrNothing: for every place of the bad word in a command, no host
// changes.
func TestAllOrNothing(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow a.example.com b.example.com c.example.com")
	bad := map[string]int{"home": 65, "x.example.com": 77, "_x.example.com": 65, "192.0.2.1000": 65, "10.0.0.1": 65, "127.0.0.1": 65, "fe80::1%x": 65}
	for word, status := range bad {
		hosts := []string{"a.example.com", "b.example.com", "c.example.com"}
		for at := range len(hosts) + 1 {
			line := strings.Join(slices.Insert(slices.Clone(hosts), at, word), " ") + " 192.0.2.1"
			if looksLikeAddress(word) {
				line = strings.Join(hosts, " ") + " 192.0.2.1 " + word
			}
			if _, got := c.run("update " + line); got != status {
				t.Errorf("update %s: exit status %d, want %d", line, got, status)
			}
		}
	}
	if g.Store.Revision() != 0 {
		t.Errorf("revision %d after commands that were all refused", g.Store.Revision())
	}
}

// TestOlderSessionLoses: a session that began before the one that wrote the
// host is told so, when it comes in between.
func TestOlderSessionLoses(t *testing.T) {
	g, _ := newGateway(t)
	older, newer := newClient(t, g, "allow a.example.com"), newClient(t, g, "allow a.example.com")
	older.began, newer.began = time.Unix(1800000000, 0), time.Unix(1800000001, 0)

	race := &racing{Store: g.Store}
	g.Store = race
	race.before = func() { newer.expect(0, "update 192.0.2.2", "good 192.0.2.2 a.example.com") }
	older.expect(75, "update 192.0.2.1", "911 a newer connection changed a.example.com meanwhile, and stays; nothing was stored")
	newer.expect(0, "list", "a.example.com. 300 IN A 192.0.2.2")

	race.before = func() { older.expect(0, "update 192.0.2.1", "good 192.0.2.1 a.example.com") }
	newer.expect(0, "update 192.0.2.3", "good 192.0.2.3 a.example.com")
	newer.expect(0, "list", "a.example.com. 300 IN A 192.0.2.3")

	race.before = func() { newer.expect(0, "update 192.0.2.4", "good 192.0.2.4 a.example.com") }
	newer.expect(0, "update 192.0.2.4", "nochg 192.0.2.4 a.example.com") // the same meanwhile
}

// TestLeaseEndIsNoSession: a lease that ends while a session refreshes it is
// not newer than that session.
func TestLeaseEndIsNoSession(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow --lease=1s a.example.com")
	c.expect(0, "update 192.0.2.1", "good 192.0.2.1 a.example.com")
	race := &racing{Store: g.Store}
	g.Store = race
	race.before = func() {
		for g.Store.Len() > 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	c.expect(0, "update 192.0.2.1", "good 192.0.2.1 a.example.com")
}

// racing is a store in which something else happens just before a commit.
type racing struct {
	records.Store
	before func()
}

func (r *racing) Commit(ctx context.Context, t records.Txn) (uint64, error) {
	if f := r.before; f != nil {
		r.before = nil
		f()
	}
	return r.Store.Commit(ctx, t)
}

// TestManyWriters: whoever writes the same hosts at once, every reply is good or
// nochg, and at the end the hosts have an address that was sent, all the same
// one, for each command was one transaction.
func TestManyWriters(t *testing.T) {
	g, _ := newGateway(t)
	grant := allow(t, "allow a.example.com b.example.com c.example.com")
	began := time.Now()
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 50 {
				s := &Session{Source: newClient(t, g, "admin").peer, Began: began, Grant: fixed(grant)}
				var out strings.Builder
				line := fmt.Sprintf("update 192.0.%d.%d", w, i)
				if status := g.Run(context.Background(), s, Parse(line), Streams{In: strings.NewReader(""), Out: &out, Err: io.Discard}); status != 0 {
					t.Errorf("%s: %d, %s", line, status, out.String())
				}
			}
		})
	}
	all.Wait()
	hosts, err := g.Store.Hosts(context.Background(), grant.Hosts)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		if h.Records[0] != hosts[0].Records[0] || h.Revision != hosts[0].Revision {
			t.Errorf("%v and %v", h, hosts[0])
		}
	}
}
