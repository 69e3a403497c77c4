package storetest

import (
	"bytes"
	"testing"

	"dnsgate/internal/records"
)

// A host's set has each type that it ever had, after a restart too; after a
// restore it has those that the backup tells of, and says that there may be
// others.
func had(t *testing.T, newPlace func(t *testing.T) Place) {
	p := newPlace(t)
	s := p.Open(t)
	const home, nas = "home.example.com", "nas.example.com"
	Change(t, s, home, Addresses("192.0.2.1"))
	Change(t, s, nas, Addresses("192.0.2.1", "2001:db8::1"))
	Change(t, s, home, nil)
	Change(t, s, nas, Addresses("2001:db8::1"))
	want := func(name records.Name, had records.Had) {
		t.Helper()
		if got := Read(t, s, name).Had; got != had {
			t.Errorf("%s had %04b, want %04b", name, got, had)
		}
	}
	hadA := records.Had(0).Add(records.A)
	both := hadA.Add(records.AAAA)
	for range 2 {
		want(home, hadA)
		want(nas, both)
		want("new.example.com", 0)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = p.Open(t)
	}
	u, err := records.Collect(t.Context(), s.Follow(0))
	if err != nil || !u.Whole || len(u.Hosts) != 2 {
		t.Fatal(u, err)
	}
	for _, h := range u.Hosts {
		want(h.Name, h.Had)
	}
	var backup bytes.Buffer
	if err := s.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	s.Close()
	p = newPlace(t)
	if err := p.Restore(&backup); err != nil {
		t.Fatal(err)
	}
	s = p.Open(t)
	defer s.Close()
	want(home, hadA|records.HadUnknown)
	Change(t, s, home, Addresses("2001:db8::1"))
	want(home, both|records.HadUnknown)
	want(nas, both|records.HadUnknown)
}
