package rfc2136

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/records/etcdstore"
	"dnsgate/test/etcd"
)

// election is what cmd/dnsgate makes of etcd's notes.
type election struct{ *etcdstore.Notes }

func (e election) Tell(ctx context.Context, r publish.Report) error {
	text, _ := json.Marshal(r)
	return e.Write(ctx, text)
}

func (e election) Told() (r publish.Report, overruns uint64, news <-chan struct{}) {
	text, overruns, news := e.Last()
	json.Unmarshal(text, &r)
	return r, overruns, news
}

// electedGateway is a store and what it publishes. While frozen is set, it
// stands still right before it sends, as a stopped process does.
type electedGateway struct {
	store  *etcdstore.Store
	notes  *etcdstore.Notes
	set    *publish.Set
	frozen atomic.Bool
	stands chan struct{} // it does
}

func startElected(t *testing.T, name string, urls []string, server *nameServer) *electedGateway {
	t.Helper()
	store, err := etcdstore.Open(t.Context(), etcdstore.Options{
		Endpoints: urls, Prefix: "/elected/", Name: name, Timeout: 2500 * time.Millisecond,
		State: t.TempDir(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	g := &electedGateway{store: store, stands: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	g.notes = store.Notes(ctx, "sender")
	target := newUpdater(t, server, func(o *Options) {
		o.Timeout = 3 * time.Second
		o.Before = func(longest time.Duration) error {
			err := g.notes.Lasts(longest)
			for first := true; g.frozen.Load(); first = false {
				if first {
					g.stands <- struct{}{}
				}
				time.Sleep(10 * time.Millisecond)
			}
			return err
		}
	})
	follow := func() publish.Source { return store.Follow(0) }
	g.set = publish.NewSet(follow, slog.New(slog.DiscardHandler), publish.NewElected(target, election{g.notes}, follow))
	var running sync.WaitGroup
	running.Go(func() { g.set.Run(ctx) })
	t.Cleanup(func() { g.frozen.Store(false); cancel(); running.Wait(); store.Close() })
	return g
}

// change stores a host, and waits until it is published.
func (g *electedGateway) change(ctx context.Context, label, address string) error {
	h := zoneHost(label, address)
	now, err := g.store.Hosts(ctx, []records.Name{h.Name})
	if err != nil {
		return err
	}
	h.Revision = now[0].Revision
	var conflict *records.Conflict
	revision, err := g.store.Commit(ctx, records.Txn{Cause: records.Cause{Time: time.Now(), Key: "test", Source: "-"}, Hosts: []records.Host{h}})
	if errors.As(err, &conflict) { // the other gateway was faster
		return g.change(ctx, label, address)
	}
	if err != nil {
		return err
	}
	patient, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return g.set.Wait(patient, []records.Name{h.Name}, revision)
}

func (g *electedGateway) sends() bool { return g.notes.Lasts(0) == nil }

// TestOneOfSeveralSends: whichever gateway takes a change, one sends it, and
// good waits for it. A sender that stood still in the middle of sending, until
// another had sent what is newer, does not win.
func TestOneOfSeveralSends(t *testing.T) {
	server := startBIND(t)
	cluster := etcd.Start(t, 1, "--unsafe-no-fsync")
	proxy := etcd.NewProxy(t, cluster.Nodes[0].Address)
	first := startElected(t, "first", []string{proxy.URL}, server)
	for !first.sends() {
		time.Sleep(10 * time.Millisecond)
	}
	second := startElected(t, "second", cluster.URLs(), server)
	lookup := func(label string) []string { return server.lookup(t, label+"."+testZone, dns.TypeA) }
	check := func(label, address string) {
		t.Helper()
		if got := lookup(label); !slices.Equal(got, []string{"60 " + address}) {
			t.Errorf("after it was published, %s is %v, not %s", label, got, address)
		}
	}
	for i := range 10 {
		for _, g := range []*electedGateway{first, second} {
			label, address := fmt.Sprintf("h%d", i), fmt.Sprintf("192.0.2.%d", i+1)
			if g == second {
				address = fmt.Sprintf("198.51.100.%d", i+1)
			}
			if err := g.change(t.Context(), label, address); err != nil {
				t.Fatal(err)
			}
			check(label, address)
		}
	}
	if !first.sends() || second.sends() {
		t.Errorf("the first sends %v, the second %v", first.sends(), second.sends())
	}

	first.frozen.Store(true)
	go first.change(t.Context(), "home", "192.0.2.100")
	<-first.stands
	proxy.Swallow(true) // a stopped process renews nothing
	for second.store.Revision() == 0 || !second.sends() {
		if first.sends() && second.sends() {
			t.Fatal("two gateways send at once")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := second.change(t.Context(), "home", "198.51.100.100"); err != nil {
		t.Fatal(err)
	}
	check("home", "198.51.100.100")
	proxy.Swallow(false)
	first.frozen.Store(false) // and now it would send what is old
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, overruns, _ := second.notes.Last(); overruns > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody tells that a term was overrun")
		}
	}
	if err := second.change(t.Context(), "nas", "198.51.100.101"); err != nil {
		t.Fatal(err)
	}
	check("home", "198.51.100.100")
}
