package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/records"
	"dnsgate/test/etcd"
	"dnsgate/test/storetest"
)

// scene is three nodes and two gateways, of which the first goes through
// proxies.
type scene struct {
	cluster *etcd.Cluster
	proxies []*etcd.Proxy
	stores  []*Store
	options []Options
}

func newScene(t *testing.T, c *etcd.Cluster) *scene {
	t.Helper()
	sc := &scene{cluster: c}
	prefix := ""
	for i := range 2 {
		o := options(t, c)
		if prefix == "" {
			prefix = o.Prefix
		}
		o.Prefix, o.Name = prefix, fmt.Sprintf("gate%d", i)
		if i == 0 {
			o.Endpoints = nil
			for _, n := range c.Nodes {
				p := etcd.NewProxy(t, n.Address)
				sc.proxies = append(sc.proxies, p)
				o.Endpoints = append(o.Endpoints, p.URL)
			}
		}
		sc.options = append(sc.options, o)
		s := openStore(t, o)
		t.Cleanup(func() { s.Close() })
		sc.stores = append(sc.stores, s)
	}
	return sc
}

func (sc *scene) committers() (all []committer) {
	for _, s := range sc.stores {
		all = append(all, s)
	}
	return all
}

func (sc *scene) cutOff(yes bool) {
	for _, p := range sc.proxies {
		p.Swallow(yes)
	}
}

// nodeOf is the node that a gateway uses.
func (sc *scene) nodeOf(t *testing.T, s *Store) *etcd.Node {
	t.Helper()
	for range 200 {
		if conn, _ := s.nodes.get(); conn != nil {
			for i, n := range sc.cluster.Nodes {
				if n.URL == conn.url || sc.proxies[i].URL == conn.url {
					return n
				}
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no node is used")
	return nil
}

func (sc *scene) leader(t *testing.T) *etcd.Node {
	t.Helper()
	for range 100 {
		if n := sc.cluster.Leader(); n != nil {
			return n
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("no leader")
	return nil
}

// TestFaults: whatever happens to nodes and to the network, nothing that was
// acknowledged is lost, what was refused is not there, and clients are answered
// soon: with DNSGATE_BARS=1, for a machine with nothing else to do, no 3 s pass
// without good, and no refusal takes 2.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	cluster := etcd.Start(t, 3)
	longestGap, slowestAnswer := 30*time.Second, 20*time.Second
	if os.Getenv("DNSGATE_BARS") != "" {
		longestGap, slowestAnswer = 3*time.Second, 2*time.Second
	}
	for _, fault := range []struct {
		name   string
		outage time.Duration // for which nobody can be answered with good
		happen func(t *testing.T, sc *scene)
	}{
		{"LeaderKilled", 0, func(t *testing.T, sc *scene) {
			for range 2 {
				leader := sc.leader(t)
				leader.Kill()
				time.Sleep(3 * time.Second)
				leader.Start(t)
				sc.cluster.Await(t)
			}
		}},
		{"NodeStopped", 0, func(t *testing.T, sc *scene) {
			for _, s := range sc.stores {
				node := sc.nodeOf(t, s)
				node.Stop()
				time.Sleep(4 * time.Second)
				node.Continue()
				time.Sleep(time.Second)
			}
		}},
		{"GatewayCutOff", 0, func(t *testing.T, sc *scene) {
			sc.cutOff(true)
			time.Sleep(4 * time.Second)
			sc.cutOff(false)
		}},
		{"AllNodesGone", 2 * time.Second, func(t *testing.T, sc *scene) {
			for _, n := range sc.cluster.Nodes {
				n.Kill()
			}
			time.Sleep(2 * time.Second)
			for _, n := range sc.cluster.Nodes {
				n.Start(t)
			}
		}},
		{"CompactedWhileCutOff", 0, func(t *testing.T, sc *scene) {
			storetest.Change(t, sc.stores[0], "forgotten.example.com", nil)
			alike(t, sc.stores...)
			sc.cutOff(true)
			time.Sleep(1500 * time.Millisecond)
			sc.stores[1].Forget(t.Context(), sc.stores[1].Revision())
			sc.cluster.Ctl(t, "compact", fmt.Sprint(sc.stores[1].Revision()))
			sc.cutOff(false)
			time.Sleep(time.Second)
			for _, s := range sc.stores {
				if h := storetest.Read(t, s, "forgotten.example.com"); h.Revision != 0 {
					t.Errorf("%s still has %+v", s.o.Name, h)
				}
			}
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			sc := newScene(t, cluster)
			w := startWorkload(sc.committers(), 16, 50)
			time.Sleep(500 * time.Millisecond)
			fault.happen(t, sc)
			sc.cluster.Await(t)
			time.Sleep(time.Second)
			w.end()
			w.verify(t, sc.stores...)
			if w.longest > longestGap+fault.outage {
				t.Errorf("%v without an acknowledged change", w.longest)
			}
			if w.slowest > slowestAnswer {
				t.Errorf("an answer after %v: %v", w.slowest, w.reasons)
			}
		})
	}
	t.Run("ControlLoses", func(t *testing.T) {
		sc := newScene(t, cluster)
		loser := &hasty{Store: sc.stores[0]}
		w := startWorkload([]committer{loser}, 4, 50_000)
		time.Sleep(200 * time.Millisecond)
		sc.cutOff(true)
		time.Sleep(2 * time.Second)
		sc.cutOff(false)
		w.end()
		loser.behind.Wait()
		alike(t, sc.stores...)
		lost := 0
		logged := make(map[string]bool)
		for _, c := range storetest.History(t, sc.stores[1], records.All) {
			logged[c.New[0].Value()] = true // each has one
		}
		for address := range w.stored {
			if !logged[address.String()] {
				lost++
			}
		}
		if len(w.faults(t, sc.stores...)) == 0 || lost == 0 {
			t.Error("a store that acknowledges too early passes")
		}
		t.Logf("%d of %d lost, as they should be", lost, len(w.stored))
	})
}

// TestUnreachable: without etcd a gateway still knows what it knew, and whatever
// needs etcd ends with a reason instead of waiting.
func TestUnreachable(t *testing.T) {
	sc := newScene(t, etcd.Start(t, 1, "--unsafe-no-fsync"))
	s := sc.stores[0]
	storetest.Change(t, s, "a.example.com", storetest.Addresses("192.0.2.1"))
	sc.cutOff(true)
	for s.Node() != "" {
		time.Sleep(10 * time.Millisecond)
	}
	h := storetest.Read(t, s, "a.example.com")
	if len(h.Records) != 1 || s.Len() != 1 {
		t.Errorf("it has %+v", h)
	}
	ctx := context.Background() // no limit of its own
	_, history := s.History(ctx, records.All, 10)
	_, mark := s.Mark(ctx)
	_, commit := s.Commit(ctx, storetest.Txn(h))
	for what, err := range map[string]error{
		"history": history, "mark": mark, "commit": commit,
		"backup": s.Backup(ctx, io.Discard), "forget": s.Forget(ctx, s.Revision()),
	} {
		if err == nil || !strings.Contains(err.Error(), "etcd cannot be reached") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !errors.Is(commit, records.ErrNotApplied) {
		t.Errorf("a change that was never sent: %v", commit)
	}
	sc.cutOff(false)
	for {
		if _, err := s.Commit(ctx, storetest.Txn(h)); err == nil {
			return
		}
	}
}
