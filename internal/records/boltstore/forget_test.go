package boltstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"dnsgate/internal/records"
)

// TestForget forgets hosts without records up to a revision, and no others; a
// follower, the history and a later start find all in order, and a host that
// comes back has a later revision.
func TestForget(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, folder)
	host := func(name string, values ...string) records.Host {
		return records.Host{Name: records.Name(name), TTL: 300, MadeBy: 7, Records: addresses(values...)}
	}
	change := func(h records.Host) uint64 {
		h.Revision = read(t, s, h.Name).Revision
		return mustCommit(t, s, h)
	}
	for i := range 10 {
		change(host(fmt.Sprintf("n%d.example.com", i), "192.0.2.1"))
	}
	f := s.Follow()
	if _, err := f.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	var reached uint64
	for i := range 6 {
		if r := change(host(fmt.Sprintf("n%d.example.com", i))); i == 3 {
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
	u, err := f.Next(t.Context())
	if err != nil || len(u.Hosts) != 6 || u.Revision != s.Revision() {
		t.Errorf("the follower gets %d hosts at revision %d: %v", len(u.Hosts), u.Revision, err)
	}
	for _, h := range u.Hosts {
		if len(h.Records) != 0 {
			t.Errorf("%s is there", h.Name)
		}
	}
	gone, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := f.Next(gone); err == nil {
		t.Error("forgetting is a change")
	}
	old := read(t, s, "n5.example.com").Revision
	if again := change(host("n1.example.com", "192.0.2.2")); again <= old || read(t, s, "n1.example.com").Revision != again {
		t.Errorf("it comes back at revision %d, after %d", again, old)
	}
	if changes, err := s.History("n1.example.com", nil, 10); err != nil || len(changes) != 1 {
		t.Errorf("its history: %v, %v", changes, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, folder)
	defer s.Close()
	if s.Len() != 5 || s.Names() != 7 || s.Made(7) != 5 {
		t.Errorf("after a start: %d with records, %d names, %d made", s.Len(), s.Names(), s.Made(7))
	}
}
