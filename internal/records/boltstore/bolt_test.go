package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/records"
)

func openStore(t testing.TB, folder string) *Store {
	t.Helper()
	s, err := Open(folder, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func addresses(values ...string) (recs []records.Record) {
	for _, v := range values {
		recs = append(recs, records.Record{Addr: netip.MustParseAddr(v)})
	}
	records.Sort(recs)
	return recs
}

func txn(hosts ...records.Host) records.Txn {
	now := time.Now()
	return records.Txn{Time: now, Session: now.UnixMicro(), Key: "SHA256:test", Source: "192.0.2.9", Hosts: hosts}
}

func mustCommit(t testing.TB, s *Store, hosts ...records.Host) uint64 {
	t.Helper()
	rev, err := s.Commit(t.Context(), txn(hosts...))
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func read(t testing.TB, s *Store, name records.Name) records.Host {
	t.Helper()
	hosts, err := s.Hosts(t.Context(), []records.Name{name})
	if err != nil {
		t.Fatal(err)
	}
	return hosts[0]
}

// stateOf is all that matters of a store, for comparing two. A restored one
// does not know what its hosts had.
func stateOf(s *Store) map[records.Name]records.Host {
	state := make(map[records.Name]records.Host)
	for _, h := range s.Find(func(records.Name) bool { return true }) {
		h.Session, h.Had = 0, 0
		state[h.Name] = h
	}
	return state
}

func TestCommitIsThereAfterOpeningAgain(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, folder)
	a := records.Host{Name: "a.example.com", TTL: 300, Records: addresses("192.0.2.1", "2001:db8::1")}
	b := records.Host{Name: "*.a.example.com", TTL: 60, Records: []records.Record{{Text: "x-y_z", Expires: 1 << 40}}}
	if rev := mustCommit(t, s, a, b); rev != 1 {
		t.Errorf("first revision is %d", rev)
	}
	want := stateOf(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, folder)
	defer s.Close()
	if got := stateOf(s); !reflect.DeepEqual(got, want) {
		t.Errorf("after opening again: %v, want %v", got, want)
	}
	if got := read(t, s, a.Name); !got.Equal(a) || got.Revision != 1 {
		t.Errorf("read %+v, want %+v", got, a)
	}
	if s.Len() != 2 || s.Revision() != 1 {
		t.Errorf("Len %d, Revision %d", s.Len(), s.Revision())
	}
}

func TestConflictAppliesNothing(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	mustCommit(t, s, records.Host{Name: "a.example.com", Records: addresses("192.0.2.1")})
	before := stateOf(s)
	_, err := s.Commit(t.Context(), txn(
		records.Host{Name: "b.example.com", Records: addresses("192.0.2.2")},
		records.Host{Name: "a.example.com", Records: addresses("192.0.2.2")}, // was read at 0
	))
	var conflict *records.Conflict
	if !errors.As(err, &conflict) || conflict.Current.Revision != 1 {
		t.Fatalf("got %v, want a conflict with revision 1", err)
	}
	if got := stateOf(s); !reflect.DeepEqual(got, before) {
		t.Errorf("a conflict changed the store: %v", got)
	}
}

// TestConcurrentWritersLoseNothing has many writers increment hosts by
// compare-then-set; each success must be one step, whoever shares its fsync.
func TestConcurrentWritersLoseNothing(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, folder)
	names := []records.Name{"a.example.com", "b.example.com", "c.example.com"}
	const writers, rounds = 16, 25
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range rounds {
				increment(t, s, names[rand.N(len(names))])
			}
		})
	}
	wg.Wait()
	s.Close()
	s = openStore(t, folder)
	defer s.Close()
	total := 0
	for _, h := range s.Find(func(records.Name) bool { return true }) {
		total += int(h.TTL)
	}
	if total != writers*rounds || s.Revision() != writers*rounds {
		t.Errorf("%d steps and revision %d after %d commits", total, s.Revision(), writers*rounds)
	}
}

func increment(t *testing.T, s *Store, name records.Name) {
	for {
		h := read(t, s, name)
		h.TTL++
		_, err := s.Commit(t.Context(), txn(h))
		var conflict *records.Conflict
		if errors.As(err, &conflict) {
			continue
		}
		if err != nil {
			t.Error(err)
		}
		return
	}
}

// TestFollowerReachesTheSameState is a property: whatever a follower was
// told, put together, is what the store holds.
func TestFollowerReachesTheSameState(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	follower := s.Follow()
	seen := make(map[records.Name]records.Host)
	var reached uint64
	for step := range 200 {
		name := records.Name(fmt.Sprintf("h%d.example.com", rand.N(20)))
		h := read(t, s, name)
		h.TTL = uint32(step) + 1
		mustCommit(t, s, h)
		if rand.N(3) > 0 {
			continue
		}
		u, err := follower.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if u.Whole != (reached == 0) || u.Revision <= reached {
			t.Fatalf("whole %v at revision %d after %d", u.Whole, u.Revision, reached)
		}
		reached = u.Revision
		for _, h := range u.Hosts {
			h.Session, h.Had = 0, 0
			seen[h.Name] = h
		}
		if want := stateOf(s); !reflect.DeepEqual(seen, want) {
			t.Fatalf("step %d: follower has %v, store %v", step, seen, want)
		}
	}
	mustCommit(t, s, records.Host{Name: "last.example.com", TTL: 1})
	follower.Next(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := follower.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with nothing new Next returned %v", err)
	}
}

func TestFollowerFarBehindGetsThePicture(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	follower := s.Follow()
	follower.Next(t.Context())
	for i := range 3 * maxRecent / 1024 {
		var hosts []records.Host
		for j := range 1024 {
			h := read(t, s, records.Name(fmt.Sprintf("h%d.example.com", j)))
			h.TTL = uint32(i)
			hosts = append(hosts, h)
		}
		mustCommit(t, s, hosts...)
	}
	if u, err := follower.Next(t.Context()); err != nil || !u.Whole || len(u.Hosts) != 1024 {
		t.Errorf("whole %v, %d hosts, %v", u.Whole, len(u.Hosts), err)
	}
}

func TestLeaseEnds(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, folder)
	now := time.Now().Unix()
	soon := addresses("192.0.2.1", "2001:db8::1")
	soon[0].Expires = now + 1
	late := addresses("192.0.2.2")
	late[0].Expires = now + 2
	mustCommit(t, s,
		records.Host{Name: "soon.example.com", Records: soon},
		records.Host{Name: "late.example.com", Records: late})
	s.Close() // what was due meanwhile leaves after a restart
	s = openStore(t, folder)
	defer s.Close()
	follower := s.Follow()
	for {
		if _, err := follower.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(read(t, s, "late.example.com").Records) == 0 {
			break
		}
	}
	if got := time.Now().Unix(); got < now+2 {
		t.Errorf("the lease ended %d s early", now+2-got)
	}
	if got := read(t, s, "soon.example.com").Records; len(got) != 1 || got[0].Type() != records.AAAA {
		t.Errorf("records left: %v, want the AAAA without a lease", got)
	}
	changes, err := s.History("soon.example.com", nil, 10)
	if err != nil || len(changes) != 2 || changes[0].Key != leaseKey {
		t.Errorf("history %v, %v", changes, err)
	}
}

func TestRefreshedLeaseStays(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	h := records.Host{Name: "a.example.com", Records: addresses("192.0.2.1")}
	for range 50 {
		h.Records = slices.Clone(h.Records)
		h.Records[0].Expires = time.Now().Add(time.Second).Unix() + 1
		mustCommit(t, s, h)
		h = read(t, s, h.Name)
		time.Sleep(50 * time.Millisecond)
	}
	if len(h.Records) != 1 {
		t.Error("a lease that was refreshed in time ended")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.leases.queue) > 3 {
		t.Errorf("%d queue entries for one host", len(s.leases.queue))
	}
}

func TestHistory(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	for i := range 5 {
		for _, name := range []records.Name{"a.example.com", "b.example.com"} {
			h := read(t, s, name)
			h.Records = addresses(fmt.Sprintf("192.0.2.%d", i+1))
			mustCommit(t, s, h)
		}
	}
	changes, err := s.History("a.example.com", nil, 3)
	if err != nil || len(changes) != 3 {
		t.Fatalf("%v, %v", changes, err)
	}
	if got := changes[0]; got.Name != "a.example.com" || got.New[0].Value() != "192.0.2.5" || got.Old[0].Value() != "192.0.2.4" {
		t.Errorf("newest is %v", got)
	}
	all, err := s.History("", func(n records.Name) bool { return n == "b.example.com" }, 100)
	if err != nil || len(all) != 5 || all[4].Old != nil {
		t.Errorf("%v, %v", all, err)
	}
}

func TestBackupRestores(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	for i := range 300 {
		h := read(t, s, records.Name(fmt.Sprintf("h%d.example.com", i%40)))
		h.TTL = uint32(i % 7)
		h.Records = addresses(fmt.Sprintf("192.0.2.%d", i%250))
		if i%3 == 0 {
			h.Records[0].Expires = 1 << 37 // also refreshes that are no history
		}
		if i%11 == 0 {
			h.Records = nil
		}
		mustCommit(t, s, h)
	}
	var first, second bytes.Buffer
	if err := s.Backup(&first); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "state")
	if err := Restore(folder, bytes.NewReader(first.Bytes())); err != nil {
		t.Fatal(err)
	}
	restored := openStore(t, folder)
	defer restored.Close()
	if got, want := stateOf(restored), stateOf(s); !reflect.DeepEqual(got, want) {
		t.Errorf("restored %v, want %v", got, want)
	}
	if err := restored.Backup(&second); err != nil || second.String() != first.String() {
		t.Errorf("a backup of the restored store differs (%v):\n%s\n%s", err, first.String(), second.String())
	}
	if err := Restore(folder, bytes.NewReader(first.Bytes())); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restoring over a store: %v", err)
	}
	for _, cut := range []int{0, 10, first.Len() / 2, first.Len() - 1} {
		folder := t.TempDir()
		if err := Restore(folder, bytes.NewReader(first.Bytes()[:cut])); err == nil {
			t.Errorf("a backup torn at %d restores", cut)
		}
		if entries, _ := os.ReadDir(folder); len(entries) != 0 {
			t.Errorf("a failed restore left %v", entries)
		}
	}
	damaged := bytes.Replace(first.Bytes(), []byte("192.0.2.1"), []byte("192.0.2.2"), 1)
	if err := Restore(t.TempDir(), bytes.NewReader(damaged)); err == nil {
		t.Error("a changed backup restores")
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, folder)
	defer s.Close()
	if _, err := Open(folder, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another dnsgate") {
		t.Errorf("got %v", err)
	}
}

// TestDamagedFileIsRefused cuts and flips the file everywhere: it either
// opens with all there, or is refused by name; it is never reset.
func TestDamagedFileIsRefused(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, File)
	s := openStore(t, folder)
	for i := range 400 {
		mustCommit(t, s, records.Host{Name: records.Name(fmt.Sprintf("h%d.example.com", i)), Records: addresses("192.0.2.1")})
	}
	want := stateOf(s)
	s.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	try := func(what string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(folder, slog.New(slog.DiscardHandler))
		if err != nil {
			refused++
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%s: the error does not name the file: %v", what, err)
			}
			if now, _ := os.ReadFile(path); len(now) != len(data) {
				t.Errorf("%s: the file has %d bytes now, had %d", what, len(now), len(data))
			}
			return
		}
		if got := stateOf(s); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: opens with %d hosts at revision %d", what, len(got), s.Revision())
		}
		if _, err := s.Commit(t.Context(), txn(records.Host{Name: "new.example.com"})); err != nil {
			t.Errorf("%s: opens, but takes no change: %v", what, err)
		}
		s.Close()
	}
	for _, size := range []int{0, 1, 4095, 4096, 8192, 3 * 4096, 10*4096 + 5, len(whole) / 2} {
		try(fmt.Sprintf("cut to %d", size), whole[:size])
	}
	for range 100 {
		data := bytes.Clone(whole)
		at := rand.N(40 * 4096)
		data[at] ^= 1 << rand.N(8)
		try(fmt.Sprintf("bit flipped at %d", at), data)
	}
	if refused < 20 {
		t.Errorf("only %d of the damaged files were refused", refused)
	}
}

// TestUnchanged: what is as it was takes no revision and no line of the log,
// and still conflicts when somebody else was faster.
func TestUnchanged(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	h := records.Host{Name: "a.example.com", TTL: 60, Records: []records.Record{{Addr: netip.MustParseAddr("192.0.2.1")}}}
	mustCommit(t, s, h)
	same := read(t, s, h.Name)
	revision, err := s.Commit(t.Context(), records.Txn{Time: time.Now(), Key: "key", Source: "-", Hosts: []records.Host{same}})
	if err != nil || revision != 1 || s.Revision() != 1 {
		t.Errorf("revision %d, the store's %d: %v", revision, s.Revision(), err)
	}
	if lines, err := s.History("", func(records.Name) bool { return true }, 9); err != nil || len(lines) != 1 {
		t.Errorf("history %v: %v", lines, err)
	}
	same.Revision = 0
	var conflict *records.Conflict
	if _, err := s.Commit(t.Context(), records.Txn{Hosts: []records.Host{same}}); !errors.As(err, &conflict) {
		t.Errorf("of a host that was written since: %v", err)
	}
}

// TestLogBytes: the log is bounded by the room that it takes, too.
func TestLogBytes(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	h := records.Host{Name: "a.example.com"}
	for ttl := range uint32(9) {
		h = read(t, s, h.Name)
		h.TTL = ttl + 1
		mustCommit(t, s, h)
	}
	s.logged.bytes = maxLogBytes // as if those were long
	h = read(t, s, h.Name)
	h.TTL = 99
	mustCommit(t, s, h)
	lines, err := s.History("", func(records.Name) bool { return true }, 99)
	if err != nil || len(lines) >= 10 || len(lines) == 0 || lines[0].TTL != 99 {
		t.Errorf("%d lines: %v", len(lines), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, dir).Close()
}

// TestCommitWhileClosing: whoever commits while the store closes gets an
// answer, and what was answered as stored is there.
func TestCommitWhileClosing(t *testing.T) {
	for range 20 {
		folder := t.TempDir()
		s := openStore(t, folder)
		var stored [8]bool
		var wg sync.WaitGroup
		for i := range stored {
			wg.Go(func() {
				_, err := s.Commit(context.Background(), txn(records.Host{Name: records.Name(fmt.Sprintf("h%d.example.com", i)), TTL: 1}))
				stored[i] = err == nil
				if err != nil && !errors.Is(err, records.ErrNotApplied) {
					t.Error(err)
				}
			})
		}
		s.Close()
		wg.Wait()
		again := openStore(t, folder)
		for i, yes := range stored {
			if h := read(t, again, records.Name(fmt.Sprintf("h%d.example.com", i))); (h.Revision > 0) != yes {
				t.Errorf("answered as stored: %v, but the store has %+v", yes, h)
			}
		}
		again.Close()
	}
}

// TestCommitTooLate: a transaction that waits behind a disk that hangs until
// its caller has gone is not applied afterwards.
func TestCommitTooLate(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	c := &commit{ctx: gone, done: make(chan struct{}), txn: txn(records.Host{Name: "a.example.com", TTL: 300, Records: addresses("192.0.2.1")})}
	s.queue <- c // it was queued before
	<-c.done
	if !errors.Is(c.err, records.ErrNotApplied) {
		t.Errorf("got %v", c.err)
	}
	if h := read(t, s, "a.example.com"); h.Revision != 0 {
		t.Errorf("it was stored: %+v", h)
	}
}
