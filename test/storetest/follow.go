package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/records"
)

// nothingNew reports whether f waits.
func nothingNew(t *testing.T, f records.Follower) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := f.Next(ctx)
	return errors.Is(err, context.DeadlineExceeded)
}

// fill stores n hosts in transactions of many, each with this TTL.
func fill(t *testing.T, s Store, n int, ttl uint32) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		var hosts []records.Host
		for i := from; i < min(from+1000, n); i++ {
			h := Read(t, s, records.Name(fmt.Sprintf("f%d.example.com", i)))
			h.TTL = ttl
			hosts = append(hosts, h)
		}
		Commit(t, s, hosts...)
	}
}

// follow learns from f until the store's revision is reached, and checks that
// pieces go on to grow.
func follow(t *testing.T, s Store, f records.Follower, state map[records.Name]records.Host) (whole bool, pieces int) {
	t.Helper()
	for {
		u, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if u.Left < 0 || len(u.Hosts) > 5000 {
			t.Fatalf("a piece of %d hosts, %d left", len(u.Hosts), u.Left)
		}
		learn(state, u)
		whole = whole || u.Whole
		pieces++
		if u.Left == 0 && u.Revision == s.Revision() {
			return whole, pieces
		}
	}
}

// Whatever a follower was told, put together, is what the store holds.
func followerReachesTheSameState(t *testing.T, p Place) {
	s := p.Open(t)
	defer s.Close()
	follower := s.Follow(0)
	seen := make(map[records.Name]records.Host)
	var reached uint64
	for step := range 200 {
		name := records.Name(fmt.Sprintf("h%d.example.com", rand.N(20)))
		h := Read(t, s, name)
		h.TTL = uint32(step) + 1
		Commit(t, s, h)
		if rand.N(3) > 0 {
			continue
		}
		u, err := records.Collect(t.Context(), follower)
		if err != nil {
			t.Fatal(err)
		}
		if u.Whole != (reached == 0) || u.Revision <= reached {
			t.Fatalf("whole %v at revision %d after %d", u.Whole, u.Revision, reached)
		}
		reached = u.Revision
		learn(seen, u)
		if want := State(t, s); !reflect.DeepEqual(seen, want) {
			t.Fatalf("step %d: follower has %v, store %v", step, seen, want)
		}
	}
	Commit(t, s, records.Host{Name: "last.example.com", TTL: 1})
	follower.Next(t.Context())
	if !nothingNew(t, follower) {
		t.Error("with nothing new Next does not wait")
	}
	if u, err := s.Follow(0).Next(t.Context()); err != nil || !u.Whole {
		t.Errorf("a second follower begins with %+v, %v", u, err)
	}
}

// A picture and what is behind it come in pieces, and hosts that change between
// them are told as they are at the end, no transaction by half.
func followerGetsPieces(t *testing.T, p Place) {
	s := p.Open(t)
	defer s.Close()
	if u, err := s.Follow(0).Next(t.Context()); err != nil || !u.Whole || u.Left != 0 || len(u.Hosts) != 0 {
		t.Errorf("of an empty store: %+v, %v", u, err)
	}
	fill(t, s, 20_000, 1)
	f := s.Follow(0)
	state := make(map[records.Name]records.Host)
	u, err := f.Next(t.Context())
	if err != nil || !u.Whole || u.Left == 0 || len(u.Hosts)+u.Left < 20_000 {
		t.Fatalf("the first piece: whole %v, %d hosts, %d left, %v", u.Whole, len(u.Hosts), u.Left, err)
	}
	learn(state, u)
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for ttl := uint32(2); ; ttl++ {
			fill(t, s, 2000, ttl)
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for range 3 {
		u, err := records.Collect(t.Context(), s.Follow(0))
		if err != nil || !u.Whole || len(u.Hosts) != 20_000 {
			t.Errorf("whole %v, %d hosts, %v", u.Whole, len(u.Hosts), err)
		}
		ttl := make(map[records.Name]uint32)
		for _, h := range u.Hosts {
			ttl[h.Name] = h.TTL
		}
		for i := range 2000 { // each thousand is one transaction
			first := records.Name(fmt.Sprintf("f%d.example.com", i/1000*1000))
			if name := records.Name(fmt.Sprintf("f%d.example.com", i)); ttl[name] != ttl[first] {
				t.Fatalf("%s has %d and %s %d: half a transaction", name, ttl[name], first, ttl[first])
			}
		}
	}
	close(stop)
	writing.Wait()
	whole, _ := follow(t, s, f, state)
	if want := State(t, s); whole || !reflect.DeepEqual(state, want) {
		t.Errorf("whole again %v; the follower has %d hosts, the store %d", whole, len(state), len(want))
	}
}

// However far a follower is behind, it gets what changed, and is not told more
// than all hosts once.
func followerFarBehind(t *testing.T, p Place) {
	s := p.Open(t)
	defer s.Close()
	fill(t, s, 3000, 1)
	f := s.Follow(0)
	state := make(map[records.Name]records.Host)
	follow(t, s, f, state)
	for i := range 200 {
		fill(t, s, 1000, uint32(i))
	}
	if _, pieces := follow(t, s, f, state); pieces > 10 {
		t.Errorf("%d pieces", pieces)
	}
	if want := State(t, s); !reflect.DeepEqual(state, want) {
		t.Error("the follower has another state than the store")
	}
}

// A revision that was reached is where to go on, also with a store that was
// opened again; one that the store does not have is not.
func followerGoesOnAfterARestart(t *testing.T, p Place) {
	s := p.Open(t)
	fill(t, s, 3000, 1)
	state := make(map[records.Name]records.Host)
	if whole, _ := follow(t, s, s.Follow(0), state); !whole {
		t.Error("no picture")
	}
	reached := s.Revision()
	fill(t, s, 10, 2)
	Change(t, s, "f5.example.com", nil)
	for range 2 {
		there := make(map[records.Name]records.Host)
		whole, _ := follow(t, s, s.Follow(reached), there)
		if whole || len(there) != 10 {
			t.Errorf("whole %v, %d hosts", whole, len(there))
		}
		if !nothingNew(t, s.Follow(s.Revision())) {
			t.Error("at the end there is something new")
		}
		if whole, _ := follow(t, s, s.Follow(s.Revision()+10), there); !whole || len(there) != 3000 {
			t.Errorf("of a revision to come: whole %v, %d hosts", whole, len(there))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = p.Open(t)
	}
	s.Close()
}

// A host that is forgotten is gone for each follower, also for one that has not
// heard that its records left.
func followerOfAForgottenHost(t *testing.T, p Place) {
	s := p.Open(t)
	fill(t, s, 30, 1)
	Change(t, s, "a.example.com", Addresses("192.0.2.1"))
	reached := s.Revision()
	state, early := State(t, s), s.Follow(reached)
	Change(t, s, "a.example.com", nil)
	if err := s.Forget(t.Context(), s.Revision()); err != nil {
		t.Fatal(err)
	}
	Commit(t, s, records.Host{Name: "b.example.com", TTL: 1}) // perhaps where the other was
	gone := func(f records.Follower) {
		t.Helper()
		follow(t, s, f, state)
		if h := state["a.example.com"]; len(h.Records) > 0 || state["b.example.com"].TTL != 1 {
			t.Errorf("%+v is left", h)
		}
		delete(state, "b.example.com")
		state["a.example.com"] = records.Host{Name: "a.example.com", Records: Addresses("192.0.2.1")}
	}
	gone(early)
	gone(s.Follow(reached))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = p.Open(t)
	defer s.Close()
	gone(s.Follow(reached))
}

// A host that is forgotten while a follower is on its way through all hosts is
// gone for it too.
func followerMeetsForget(t *testing.T, p Place) {
	s := p.Open(t)
	fill(t, s, 5000, 1)
	for _, name := range []records.Name{"a.example.com", "z.example.com"} {
		Change(t, s, name, Addresses("192.0.2.1"))
	}
	reached, state := s.Revision(), State(t, s)
	fill(t, s, 5000, 2)
	for _, name := range []records.Name{"a.example.com", "z.example.com"} {
		Change(t, s, name, nil)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = p.Open(t)
	defer s.Close()
	f := s.Follow(reached)
	u, err := f.Next(t.Context())
	if err != nil || u.Left == 0 {
		t.Fatalf("%d hosts, %d left, %v", len(u.Hosts), u.Left, err)
	}
	learn(state, u)
	for s.Names() > 0 {
		if err := s.Forget(t.Context(), s.Revision()); err != nil {
			t.Fatal(err)
		}
	}
	follow(t, s, f, state)
	for name, h := range state {
		if len(h.Records) > 0 {
			t.Errorf("%s is left", name)
		}
	}
}
