package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/records"
	"dnsgate/test/storetest"
)

// committer is what a gateway uses of a store.
type committer interface {
	Hosts(ctx context.Context, names []records.Name) ([]records.Host, error)
	Commit(ctx context.Context, t records.Txn) (uint64, error)
}

// workload is writers at several gateways who change the same hosts. Each
// attempt writes an address of its own, so that the log tells which were
// applied.
type workload struct {
	hosts   []records.Name
	stop    chan struct{}
	writing sync.WaitGroup

	mu       sync.Mutex
	attempts uint32
	stored   map[netip.Addr]uint64 // acknowledged, and the revision that was told
	refused  map[netip.Addr]bool   // told to be certainly not stored
	lastGood time.Time
	longest  time.Duration // without an acknowledged change
	slowest  time.Duration // of an answer that nothing, or nobody knows what, was stored
	doubtful int
	reasons  map[string]int
}

func startWorkload(stores []committer, writers, hosts int) *workload {
	w := &workload{
		stop: make(chan struct{}), stored: make(map[netip.Addr]uint64), refused: make(map[netip.Addr]bool),
		lastGood: time.Now(), reasons: make(map[string]int),
	}
	for i := range hosts {
		w.hosts = append(w.hosts, records.Name(fmt.Sprintf("h%d.example.com", i)))
	}
	for i := range writers {
		w.writing.Go(func() {
			for {
				select {
				case <-w.stop:
					return
				default:
					w.attempt(stores[i%len(stores)])
				}
			}
		})
	}
	return w
}

// attempt changes one or two hosts once, as a command does.
func (w *workload) attempt(s committer) {
	names := []records.Name{w.hosts[rand.N(len(w.hosts))]}
	if other := w.hosts[rand.N(len(w.hosts))]; other != names[0] && rand.N(4) == 0 {
		names = append(names, other)
	}
	hosts, err := s.Hosts(context.Background(), names)
	if err != nil {
		panic(err)
	}
	w.mu.Lock()
	w.attempts++
	n := w.attempts
	w.mu.Unlock()
	address := netip.AddrFrom4([4]byte{11, byte(n >> 16), byte(n >> 8), byte(n)})
	for i := range hosts {
		hosts[i].TTL, hosts[i].Records = 300, []records.Record{{Addr: address}}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	began := time.Now()
	revision, err := s.Commit(ctx, storetest.Txn(hosts...))
	w.note(address, revision, err, time.Since(began))
	if err != nil {
		time.Sleep(time.Duration(rand.N(10)+1) * time.Millisecond)
	}
}

func (w *workload) note(address netip.Addr, revision uint64, err error, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var conflict *records.Conflict
	switch {
	case err == nil:
		w.stored[address] = revision
		w.longest = max(w.longest, time.Since(w.lastGood))
		w.lastGood = time.Now()
		return
	case errors.As(err, &conflict):
		w.refused[address] = true
		return
	case errors.Is(err, records.ErrNotApplied):
		w.refused[address] = true
	case errors.Is(err, records.ErrUnknown):
		w.doubtful++
	default:
		panic(err)
	}
	w.slowest = max(w.slowest, took)
	w.reasons[err.Error()]++
}

// end ends the writers.
func (w *workload) end() {
	close(w.stop)
	w.writing.Wait()
}

// faults are what a verifier finds wrong, by the log: a change that was
// acknowledged is not there, one that was refused is, a change does not begin
// where the one before it ended, or the gateways do not have the same.
func (w *workload) faults(t *testing.T, stores ...*Store) (faults []string) {
	t.Helper()
	changes := storetest.History(t, stores[0], records.All)
	slices.Reverse(changes)
	logged := make(map[netip.Addr]uint64)
	last := make(map[records.Name]records.Change)
	for _, c := range changes {
		for _, r := range c.New {
			logged[r.Addr] = c.Revision
		}
		if before := last[c.Name]; !slices.Equal(before.New, c.Old) || before.Revision >= c.Revision {
			faults = append(faults, fmt.Sprintf("%v comes after %v", c, before))
		}
		last[c.Name] = c
	}
	for address, revision := range w.stored {
		if logged[address] != revision {
			faults = append(faults, fmt.Sprintf("%s was acknowledged at revision %d; the log has it at %d", address, revision, logged[address]))
		}
	}
	for address := range w.refused {
		if at := logged[address]; at != 0 {
			faults = append(faults, fmt.Sprintf("%s was certainly not stored; the log has it at %d", address, at))
		}
	}
	want := storetest.State(t, stores[0])
	for name, c := range last {
		if h := want[name]; h.Revision != c.Revision && len(c.New) > 0 || !slices.Equal(h.Records, c.New) {
			faults = append(faults, fmt.Sprintf("%+v, and the log ends with %v", h, c))
		}
	}
	for _, s := range stores[1:] {
		if !reflect.DeepEqual(storetest.State(t, s), want) {
			faults = append(faults, "two gateways differ")
		}
	}
	return faults
}

// verify is for the end of a test: all gateways have come to the same revision,
// and nothing is wrong.
func (w *workload) verify(t *testing.T, stores ...*Store) {
	t.Helper()
	alike(t, stores...)
	if faults := w.faults(t, stores...); len(faults) > 0 {
		t.Errorf("%d faults: %.2000v", len(faults), faults)
	}
	t.Logf("%d acknowledged, none lost; %d refused, %d in doubt; longest without one %v; slowest refusal %v",
		len(w.stored), len(w.refused), w.doubtful, w.longest.Round(time.Millisecond), w.slowest.Round(time.Millisecond))
	if len(w.stored) == 0 {
		t.Error("nothing was acknowledged, so nothing was tested")
	}
}

// alike waits until gateways have told the same revision.
func alike(t *testing.T, stores ...*Store) {
	t.Helper()
	for range 400 {
		first := stores[0].Revision()
		if !slices.ContainsFunc(stores, func(s *Store) bool { return s.Revision() != first }) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, s := range stores {
		t.Errorf("%s is at revision %d", s.o.Name, s.Revision())
	}
}

// hasty is a store that acknowledges before etcd has: the control, which must
// lose.
type hasty struct {
	*Store
	behind sync.WaitGroup
}

func (h *hasty) Commit(_ context.Context, t records.Txn) (uint64, error) {
	h.behind.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		h.Store.Commit(ctx, t)
	})
	time.Sleep(time.Millisecond)
	return 0, nil
}
