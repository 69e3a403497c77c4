package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/records"
)

func commitIsThereAfterOpeningAgain(t *testing.T, p Place) {
	s := p.Open(t)
	a := records.Host{Name: "a.example.com", TTL: 300, Records: Addresses("192.0.2.1", "2001:db8::1")}
	b := records.Host{Name: "_acme-challenge.a.example.com", TTL: 60, Records: []records.Record{{Text: "x-y_z", Expires: 1 << 37}}}
	first := Commit(t, s, a, b)
	if first == 0 || first != s.Revision() {
		t.Errorf("first revision is %d, the store's %d", first, s.Revision())
	}
	want := State(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = p.Open(t)
	defer s.Close()
	if got := State(t, s); !reflect.DeepEqual(got, want) {
		t.Errorf("after opening again: %v, want %v", got, want)
	}
	if got := Read(t, s, a.Name); !got.Equal(a) || got.Revision != first {
		t.Errorf("read %+v, want %+v", got, a)
	}
	if s.Len() != 2 || s.Revision() != first {
		t.Errorf("Len %d, Revision %d", s.Len(), s.Revision())
	}
}

func conflictAppliesNothing(t *testing.T, p Place) {
	s := p.Open(t)
	defer s.Close()
	first := Commit(t, s, records.Host{Name: "a.example.com", Records: Addresses("192.0.2.1")})
	before := State(t, s)
	_, err := s.Commit(t.Context(), Txn(
		records.Host{Name: "b.example.com", Records: Addresses("192.0.2.2")},
		records.Host{Name: "a.example.com", Records: Addresses("192.0.2.2")}, // was read at 0
	))
	var conflict *records.Conflict
	if !errors.As(err, &conflict) || conflict.Current.Revision != first {
		t.Fatalf("got %v, want a conflict with revision %d", err, first)
	}
	if got := State(t, s); !reflect.DeepEqual(got, before) {
		t.Errorf("a conflict changed the store: %v", got)
	}
}

// Many writers increment hosts by compare-then-set; each success must be one
// step, whoever shares its way to the disk.
func concurrentWritersLoseNothing(t *testing.T, p Place) {
	s := p.Open(t)
	names := []records.Name{"a.example.com", "b.example.com", "c.example.com"}
	const writers, rounds = 16, 25
	revisions := make([][]uint64, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range rounds {
				revisions[w] = append(revisions[w], increment(t, s, names[rand.N(len(names))]))
			}
		})
	}
	wg.Wait()
	for w := range revisions {
		if !slices.IsSorted(revisions[w]) {
			t.Errorf("revisions %v do not grow", revisions[w])
		}
	}
	s.Close()
	s = p.Open(t)
	defer s.Close()
	total := 0
	for _, h := range State(t, s) {
		total += int(h.TTL)
	}
	if total != writers*rounds {
		t.Errorf("%d steps after %d commits", total, writers*rounds)
	}
}

func increment(t *testing.T, s Store, name records.Name) uint64 {
	for {
		h := Read(t, s, name)
		h.TTL++
		revision, err := s.Commit(t.Context(), Txn(h))
		var conflict *records.Conflict
		if errors.As(err, &conflict) {
			continue
		}
		if err != nil {
			t.Error(err)
		}
		return revision
	}
}

// What is as it was takes no revision and no line of the log, and still
// conflicts when somebody else was faster.
func unchanged(t *testing.T, p Place) {
	s := p.Open(t)
	defer s.Close()
	h := records.Host{Name: "a.example.com", TTL: 60, Records: Addresses("192.0.2.1")}
	first := Commit(t, s, h)
	same := Read(t, s, h.Name)
	revision, err := s.Commit(t.Context(), Txn(same))
	if err != nil || revision != first || s.Revision() != first {
		t.Errorf("revision %d, the store's %d: %v", revision, s.Revision(), err)
	}
	if lines := History(t, s, records.All); len(lines) != 1 {
		t.Errorf("history %v", lines)
	}
	same.Revision = 0
	var conflict *records.Conflict
	if _, err := s.Commit(t.Context(), records.Txn{Hosts: []records.Host{same}}); !errors.As(err, &conflict) {
		t.Errorf("of a host that was written since: %v", err)
	}
}

// Whoever commits while the store closes gets an answer, and what was answered
// as stored is there.
func commitWhileClosing(t *testing.T, p Place) {
	for round := range 20 {
		s := p.Open(t)
		name := func(i int) records.Name { return records.Name(fmt.Sprintf("h%d.r%d.example.com", i, round)) }
		var stored [8]bool
		var wg sync.WaitGroup
		for i := range stored {
			wg.Go(func() {
				_, err := s.Commit(context.Background(), Txn(records.Host{Name: name(i), TTL: 1}))
				stored[i] = err == nil
				if err != nil && !errors.Is(err, records.ErrNotApplied) {
					t.Error(err)
				}
			})
		}
		s.Close()
		wg.Wait()
		s = p.Open(t)
		for i, yes := range stored {
			if h := Read(t, s, name(i)); (h.Revision > 0) != yes {
				t.Errorf("answered as stored: %v, but the store has %+v", yes, h)
			}
		}
		s.Close()
	}
}

// A transaction whose caller has gone before it began is not applied, or it is
// not known.
func commitOfOneWhoHasGone(t *testing.T, p Place) {
	s := p.Open(t)
	defer s.Close()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 20 {
		name := records.Name(fmt.Sprintf("h%d.example.com", i))
		_, err := s.Commit(gone, Txn(records.Host{Name: name, TTL: 1}))
		Commit(t, s, records.Host{Name: "behind-it.example.com", TTL: uint32(i + 1), Revision: Read(t, s, "behind-it.example.com").Revision})
		h := Read(t, s, name)
		if err == nil || h.Revision != 0 || !errors.Is(err, records.ErrNotApplied) && !errors.Is(err, records.ErrUnknown) {
			t.Errorf("%v, and the store has %+v", err, h)
		}
	}
}

// A group of changes of another store, with their own causes and with how far
// it has come, is one transaction, whole or not at all.
func changesMadeElsewhere(t *testing.T, p Place) {
	s := p.Open(t)
	if mark, err := s.Mark(t.Context()); mark != "" || err != nil {
		t.Errorf("mark %q, %v", mark, err)
	}
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	group := records.Txn{
		Hosts: []records.Host{
			{Name: "a.example.com", TTL: 300, Records: Addresses("192.0.2.1")},
			{Name: "b.example.com", TTL: 300, Records: Addresses("192.0.2.2")},
		},
		Causes: []records.Cause{
			{Time: began, Session: 7, Key: "SHA256:a", Source: "198.51.100.1"},
			{Time: began.Add(time.Hour), Session: 8, Key: "SHA256:b", Source: "198.51.100.2"},
		},
		Mark: "store 42",
	}
	revision, err := s.Commit(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	a, b := Read(t, s, "a.example.com"), Read(t, s, "b.example.com")
	if a.Revision != revision || b.Revision != revision || a.Session != 7 || b.Session != 8 {
		t.Errorf("revision %d: %+v, %+v", revision, a, b)
	}
	group.Mark = "store 43" // a conflict: nothing of it counts
	var conflict *records.Conflict
	if _, err := s.Commit(t.Context(), group); !errors.As(err, &conflict) {
		t.Errorf("got %v", err)
	}
	check := func(want string) {
		t.Helper()
		if mark, err := s.Mark(t.Context()); mark != want || err != nil {
			t.Errorf("mark %q, %v, want %q", mark, err, want)
		}
		lines := History(t, s, records.All)
		if len(lines) != 2 || lines[0].Key != "SHA256:b" || !lines[0].Time.Equal(began.Add(time.Hour)) || lines[1].Source != "198.51.100.1" {
			t.Errorf("history %v", lines)
		}
	}
	check("store 42")
	if _, err := s.Commit(t.Context(), records.Txn{Mark: "store 44"}); err != nil || s.Revision() != revision {
		t.Errorf("a mark alone: revision %d, %v", s.Revision(), err)
	}
	check("store 44")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = p.Open(t)
	defer s.Close()
	check("store 44")
}
