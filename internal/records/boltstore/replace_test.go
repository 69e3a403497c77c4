package boltstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"dnsgate/internal/records"
)

// TestReplace gives a store one random picture after the other. It then has the hosts of
// that and no others, the same after a restart; what did not change keeps its revision;
// what changed is in the history.
func TestReplace(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	ctx := context.Background()
	folder := t.TempDir()
	s, err := Open(folder, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	before := make(map[records.Name]records.Host)
	for round := range 30 {
		p, want := s.NewPicture(), make(map[records.Name]records.Host)
		for range rng.IntN(60) { // some come twice
			name := records.Name(fmt.Sprintf("h%d.example.com", rng.IntN(40)))
			h := records.Host{Name: name, Session: 1, TTL: 300}
			if rng.IntN(8) > 0 {
				h.Records = []records.Record{{Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(rng.IntN(3))})}}
			}
			p.Put(h)
			want[name] = h
		}
		mark := fmt.Sprint("store ", round)
		revision, err := s.Replace(ctx, p, records.Cause{Time: time.Now(), Key: "follow", Source: "-"}, mark)
		if err != nil || revision != s.Revision() {
			t.Fatalf("round %d: revision %d of %d, %v", round, revision, s.Revision(), err)
		}
		if round%5 == 4 {
			s.Close()
			if s, err = Open(folder, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		live := 0
		for i := range 40 {
			name := records.Name(fmt.Sprintf("h%d.example.com", i))
			h := s.Entry(name).Host
			if !reflect.DeepEqual(h.Records, want[name].Records) {
				t.Fatalf("round %d: %s has %v, not %v", round, name, h.Records, want[name].Records)
			}
			changed := !reflect.DeepEqual(h.Records, before[name].Records)
			if h.Revision == revision != changed && len(h.Records)+len(before[name].Records) > 0 {
				t.Fatalf("round %d: %s, of which %t is that it changed, has revision %d of %d", round, name, changed, h.Revision, revision)
			}
			history, err := s.History(ctx, records.Selection{Names: []records.Name{name}}, 1)
			if changed && (err != nil || len(history) != 1 || history[0].Revision != revision || !reflect.DeepEqual(history[0].New, h.Records)) {
				t.Fatalf("round %d: the history of %s is %v, %v", round, name, history, err)
			}
			if len(h.Records) > 0 {
				live++
			}
			before[name] = h
		}
		if got, err := s.Mark(ctx); got != mark || err != nil || s.Len() != live {
			t.Fatalf("round %d: mark %q, %v; %d hosts, not %d", round, got, err, s.Len(), live)
		}
	}
	late := s.NewPicture()
	if _, err := s.Replace(ctx, s.NewPicture(), records.Cause{Key: "follow", Source: "-"}, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Replace(ctx, late, records.Cause{Key: "follow", Source: "-"}, "y"); s.Len() > 0 || err != nil && !errors.Is(err, records.ErrNotApplied) {
		t.Errorf("a picture from before another change: %v", err)
	}
}
