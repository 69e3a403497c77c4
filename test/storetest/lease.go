package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/records"
)

// endLeases runs what ends leases; the end of the test stops it before s is
// closed.
func endLeases(t *testing.T, s Store) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var ending sync.WaitGroup
	ending.Go(func() { records.EndLeases(ctx, s) })
	return func() { cancel(); ending.Wait(); s.Close() }
}

func leaseEnds(t *testing.T, p Place) {
	s := p.Open(t)
	now := time.Now().Unix()
	soon := Addresses("192.0.2.1", "2001:db8::1")
	soon[0].Expires = now + 1
	late := Addresses("192.0.2.2")
	late[0].Expires = now + 2
	Commit(t, s,
		records.Host{Name: "soon.example.com", Records: soon},
		records.Host{Name: "late.example.com", Records: late})
	s.Close() // what was due meanwhile leaves after a restart
	s = p.Open(t)
	defer endLeases(t, s)()
	for follower := s.Follow(0); len(Read(t, s, "late.example.com").Records) > 0; {
		if _, err := follower.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := time.Now().Unix(); got < now+2 {
		t.Errorf("the lease ended %d s early", now+2-got)
	}
	if got := Read(t, s, "soon.example.com").Records; len(got) != 1 || got[0].Type() != records.AAAA {
		t.Errorf("records left: %v, want the AAAA without a lease", got)
	}
	changes := History(t, s, records.Selection{Names: []records.Name{"soon.example.com"}})
	if len(changes) != 2 || changes[0].Key != "lease" {
		t.Errorf("history %v", changes)
	}
}

func refreshedLeaseStays(t *testing.T, p Place) {
	s := p.Open(t)
	defer endLeases(t, s)()
	h := records.Host{Name: "a.example.com", Records: Addresses("192.0.2.1")}
	for range 50 {
		h.Records = slices.Clone(h.Records)
		h.Records[0].Expires = time.Now().Add(time.Second).Unix() + 1
		Commit(t, s, h)
		h = Read(t, s, h.Name)
		time.Sleep(50 * time.Millisecond)
	}
	if len(h.Records) != 1 {
		t.Error("a lease that was refreshed in time ended")
	}
}
