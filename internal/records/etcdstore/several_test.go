package etcdstore

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/records"
	"dnsgate/test/etcd"
	"dnsgate/test/storetest"
)

// TestClocksApart: a gateway whose clock is 5 s ahead is named, and neither the
// log nor sessions depend on clocks.
func TestClocksApart(t *testing.T) {
	cluster := etcd.Start(t, 1, "--unsafe-no-fsync")
	o := options(t, cluster)
	right := openStore(t, o)
	defer right.Close()
	o.Name, o.State = "ahead", t.TempDir()
	o.now = func() time.Time { return time.Now().Add(5 * time.Second) }
	ahead := openStore(t, o)
	defer ahead.Close()
	w := startWorkload([]committer{right, ahead}, 8, 20)
	seen := func(by *Store, name string, from, to time.Duration) bool {
		for _, g := range by.Gateways() {
			if g.Name == name && from <= g.Clock && g.Clock <= to {
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(30 * time.Second); !seen(right, "ahead", 4*time.Second, 6*time.Second) || !seen(ahead, "here", -6*time.Second, -3*time.Second); {
		if time.Now().After(deadline) {
			t.Errorf("clocks: %+v, %+v", right.Gateways(), ahead.Gateways())
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.end()
	w.verify(t, right, ahead)
}

// TestKeeperKilled: the record leaves when another keeper has been elected, and
// once.
func TestKeeperKilled(t *testing.T) {
	cluster := etcd.Start(t, 1, "--unsafe-no-fsync")
	o := options(t, cluster)
	var stores []*Store
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	defer keeping.Wait()
	defer cancel()
	for _, name := range []string{"one", "two"} {
		o.Name, o.State = name, t.TempDir()
		s := openStore(t, o)
		defer s.Close()
		stores = append(stores, s)
		keeping.Go(func() { s.Keep(ctx) })
	}
	has := func(s *Store) bool { return time.Now().Before(s.Stand(roleKeeper).Until()) }
	var keeper, other *Store
	for keeper == nil {
		for i, s := range stores {
			if has(s) {
				keeper, other = s, stores[1-i]
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	h := records.Host{Name: "a.example.com", TTL: 300, Records: storetest.Addresses("192.0.2.1")}
	h.Records[0].Expires = time.Now().Unix() + 2
	storetest.Commit(t, other, h)
	keeper.nodes.close() // as if it were killed: it can tell etcd nothing more
	began := time.Now()
	for len(storetest.Read(t, other, h.Name).Records) > 0 {
		if has(keeper) && has(other) {
			t.Fatal("two keepers at once")
		}
		if time.Since(began) > 30*time.Second {
			t.Fatal("the record stays")
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("it left %v after the kill", time.Since(began).Round(10*time.Millisecond))
	if lines := storetest.History(t, other, records.All); len(lines) != 2 || lines[0].Key != "lease" {
		t.Errorf("history %v", lines)
	}
}

// TestNoSpace: a full etcd refuses changes for certain, with the reason, and
// takes them again when its operator has made room.
func TestNoSpace(t *testing.T) {
	cluster := etcd.Start(t, 1, "--unsafe-no-fsync", "--quota-backend-bytes=2000000")
	s := openStore(t, options(t, cluster))
	defer s.Close()
	var err error
	for i := 0; err == nil && i < 20_000; i++ {
		h := storetest.Read(t, s, "_acme-challenge.a.example.com")
		h.TTL = uint32(i + 1)
		h.Records = nil
		for n := range 20 {
			h.Records = append(h.Records, records.Record{Text: strings.Repeat("x", 200+n)})
		}
		_, err = s.Commit(t.Context(), storetest.Txn(h))
	}
	if !errors.Is(err, records.ErrNotApplied) || !strings.Contains(err.Error(), "space") {
		t.Fatalf("of a full etcd: %v", err)
	}
	last := storetest.Read(t, s, "_acme-challenge.a.example.com")
	if len(last.Records) != 20 {
		t.Errorf("what is there cannot be read: %+v", last)
	}
	if err := s.prune(t.Context(), new(logSize), 10); err != nil { // etcd still lets keys be deleted
		t.Error(err)
	}
	cluster.Ctl(t, "compact", "--physical", cluster.Revision(t))
	cluster.Ctl(t, "defrag")
	cluster.Ctl(t, "alarm", "disarm")
	if _, err := s.Commit(t.Context(), storetest.Txn(records.Host{Name: "b.example.com", TTL: 1})); err != nil {
		t.Error(err)
	}
	if got := storetest.Read(t, s, last.Name); got.TTL != last.TTL {
		t.Errorf("TTL %d, before the room was made %d", got.TTL, last.TTL)
	}
}
