package etcdstore

import (
	"fmt"
	"testing"

	"dnsgate/internal/records"
	"dnsgate/test/etcd"
	"dnsgate/test/storetest"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// TestPruneLeavesTheNewestChanges, counted by changes, not by entries.
func TestPruneLeavesTheNewestChanges(t *testing.T) {
	s := openStore(t, options(t, etcd.Start(t, 1, "--unsafe-no-fsync")))
	defer s.Close()
	change := func(from, to int) {
		for i := from; i < to; i++ {
			var hosts []records.Host
			for _, name := range []records.Name{"a.example.com", "b.example.com", "c.example.com"} {
				h := storetest.Read(t, s, name)
				h.TTL = uint32(i + 1)
				hosts = append(hosts, h)
			}
			storetest.Commit(t, s, hosts...)
		}
	}
	var l logSize
	for round := range 3 {
		change(round*10, round*10+10)
		if err := s.prune(t.Context(), &l, 13); err != nil {
			t.Fatal(err)
		}
		changes := storetest.History(t, s, records.All)
		if len(changes) != 12 || changes[0].TTL != uint32(round*10+10) || changes[11].TTL != uint32(round*10+7) {
			t.Errorf("round %d: %d changes: %v", round, len(changes), changes)
		}
	}
	if of := storetest.History(t, s, records.Selection{Names: []records.Name{"a.example.com"}}); len(of) != 4 {
		t.Errorf("of one host: %v", of)
	}
	if n := fmt.Sprint(len(l.entries), l.lines); n != "4 12" {
		t.Errorf("the keeper counts %s", n)
	}
}

// TestLogSizeCountsLines alone: the seal in front of them may have a line end too.
func TestLogSizeCountsLines(t *testing.T) {
	var l logSize
	l.add(&mvccpb.KeyValue{Key: []byte("l/1"), Value: []byte("\x03\n\n\n\nfirst\nsecond")})
	l.add(&mvccpb.KeyValue{Key: []byte("l/2"), Value: []byte("\n")}) // none of dnsgate's
	if l.lines != 3 {
		t.Errorf("%d lines are counted, not 3", l.lines)
	}
}
