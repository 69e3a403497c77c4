package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dnsgate/internal/records"
)

func find(t *testing.T, p Place) {
	s := p.Open(t)
	defer s.Close()
	for _, name := range []records.Name{
		"z.example.com", "lab.example.com", "x.lab.example.com", "_acme-challenge.x.lab.example.com",
		"*.lab.example.com", "*.x.lab.example.com", "y.collab.example.com",
	} {
		Commit(t, s, records.Host{Name: name, TTL: 1})
	}
	for _, test := range []struct {
		of   records.Selection
		want []records.Name
	}{
		{records.Selection{}, nil},
		{records.Selection{Names: []records.Name{"z.example.com", "unknown.example.com"}}, []records.Name{"z.example.com"}},
		{records.Selection{Suffixes: []records.Name{"lab.example.com"}}, []records.Name{"_acme-challenge.x.lab.example.com", "x.lab.example.com"}},
		{records.Selection{Glob: "?.*lab.*"}, []records.Name{"*.lab.example.com", "*.x.lab.example.com", "x.lab.example.com", "y.collab.example.com"}},
		{records.Selection{Glob: "[", Names: []records.Name{"z.example.com"}}, []records.Name{"z.example.com"}},
	} {
		if got, err := s.Find(t.Context(), test.of); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%+v: %v, %v; want %v", test.of, got, err, test.want)
		}
	}
	if got, err := s.Find(t.Context(), records.All); err != nil || len(got) != 7 || !slices.IsSorted(got) {
		t.Errorf("all: %v, %v", got, err)
	}
}

// Hosts without records up to a revision are forgotten, and no others; the
// history and a later start find all in order, and a host that comes back has a
// later revision.
func forget(t *testing.T, p Place) {
	s := p.Open(t)
	name := func(i int) records.Name { return records.Name(fmt.Sprintf("n%d.example.com", i)) }
	for i := range 10 {
		Commit(t, s, records.Host{Name: name(i), TTL: 300, MadeBy: 7, Records: Addresses("192.0.2.1")})
	}
	f := s.Follow(0)
	if _, err := records.Collect(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	var reached uint64
	for i := range 6 {
		if r := Change(t, s, name(i), nil); i == 3 {
			reached = r
		}
	}
	if s.Len() != 4 || s.Names() != 10 || s.Made(7) != 4 || s.Made(8) != 0 {
		t.Errorf("%d with records, %d names, %d made", s.Len(), s.Names(), s.Made(7))
	}
	if err := s.Forget(t.Context(), reached); err != nil {
		t.Fatal(err)
	}
	if s.Len() != 4 || s.Names() != 6 {
		t.Errorf("%d with records, %d names afterwards", s.Len(), s.Names())
	}
	u, err := records.Collect(t.Context(), f)
	if err != nil || len(u.Hosts) != 6 || u.Revision != s.Revision() {
		t.Errorf("the follower gets %d hosts at revision %d: %v", len(u.Hosts), u.Revision, err)
	}
	for _, h := range u.Hosts {
		if len(h.Records) != 0 {
			t.Errorf("%s is there", h.Name)
		}
	}
	if !nothingNew(t, f) {
		t.Error("forgetting is a change")
	}
	old := Read(t, s, "n5.example.com").Revision
	if again := Change(t, s, name(1), Addresses("192.0.2.2")); again <= old || Read(t, s, name(1)).Revision != again {
		t.Errorf("it comes back at revision %d, after %d", again, old)
	}
	if changes := History(t, s, records.Selection{Names: []records.Name{name(1)}}); len(changes) != 1 {
		t.Errorf("its history: %v", changes)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = p.Open(t)
	defer s.Close()
	if s.Len() != 5 || s.Names() != 7 || s.Made(7) != 4 {
		t.Errorf("after a start: %d with records, %d names, %d made", s.Len(), s.Names(), s.Made(7))
	}
}

func history(t *testing.T, p Place) {
	s := p.Open(t)
	defer s.Close()
	const a, b = "a.example.com", "b.example.com"
	for i := range 5 {
		for _, name := range []records.Name{a, b} {
			Change(t, s, name, Addresses(fmt.Sprintf("192.0.2.%d", i+1)))
		}
	}
	changes, err := s.History(t.Context(), records.Selection{Names: []records.Name{a}}, 3)
	if err != nil || len(changes) != 3 {
		t.Fatalf("%v, %v", changes, err)
	}
	if got := changes[0]; got.Name != a || got.New[0].Value() != "192.0.2.5" || got.Old[0].Value() != "192.0.2.4" {
		t.Errorf("newest is %v", got)
	}
	all := History(t, s, records.Selection{Glob: "b.*"})
	if len(all) != 5 || all[4].Old != nil || all[0].Name != b {
		t.Errorf("%v", all)
	}
	both, err := s.History(t.Context(), records.Selection{Names: []records.Name{a, b, "c.example.com"}}, 7)
	if err != nil || len(both) != 7 || !slices.IsSortedFunc(both, func(x, y records.Change) int { return int(y.Revision) - int(x.Revision) }) {
		t.Errorf("%v, %v", both, err)
	}
}

// What backup wrote, restore brings back whole, or not at all.
func backupRestores(t *testing.T, newPlace func(t *testing.T) Place) {
	s := newPlace(t).Open(t)
	defer s.Close()
	for i := range 300 {
		h := Read(t, s, records.Name(fmt.Sprintf("h%d.example.com", i%40)))
		h.TTL = uint32(i % 7)
		h.Records = Addresses(fmt.Sprintf("192.0.2.%d", i%250))
		if i%3 == 0 {
			h.Records[0].Expires = 1 << 37 // also refreshes that are no history
		}
		if i%11 == 0 {
			h.Records = nil
		}
		Commit(t, s, h)
	}
	var first, second bytes.Buffer
	if err := s.Backup(t.Context(), &first); err != nil {
		t.Fatal(err)
	}
	place := newPlace(t)
	if err := place.Restore(bytes.NewReader(first.Bytes())); err != nil {
		t.Fatal(err)
	}
	restored := place.Open(t)
	if got, want := State(t, restored), State(t, s); !reflect.DeepEqual(got, want) {
		t.Errorf("restored %v, want %v", got, want)
	}
	if err := restored.Backup(t.Context(), &second); err != nil || second.String() != first.String() {
		t.Errorf("a backup of the restored store differs (%v):\n%s\n%s", err, first.String(), second.String())
	}
	if got := Change(t, restored, "new.example.com", nil); got <= s.Revision() {
		t.Errorf("revision %d after %d", got, s.Revision())
	}
	if err := restored.Close(); err != nil {
		t.Fatal(err)
	}
	if err := place.Restore(bytes.NewReader(first.Bytes())); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restoring over a store: %v", err)
	}
	for _, cut := range []int{0, 10, first.Len() / 2, first.Len() - 1} {
		if err := newPlace(t).Restore(bytes.NewReader(first.Bytes()[:cut])); err == nil {
			t.Errorf("a backup torn at %d restores", cut)
		}
	}
	damaged := bytes.Replace(first.Bytes(), []byte("192.0.2.1"), []byte("192.0.2.2"), 1)
	if err := newPlace(t).Restore(bytes.NewReader(damaged)); err == nil {
		t.Error("a changed backup restores")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(gone, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("for one who has gone: %v", err)
	}
}
