package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/records"
)

// memory is a target that keeps what it is given, and refuses what it is told.
type memory struct {
	only string // covers names with this suffix

	mu      sync.Mutex
	served  map[records.Name]records.Host
	rounds  []int // hosts in each round
	wholes  int
	down    error
	refuse  HostErrors
	slow    time.Duration
	changed chan struct{}
}

func newMemory(only string) *memory {
	return &memory{only: only, served: make(map[records.Name]records.Host), changed: make(chan struct{}, 1)}
}

func (m *memory) Name() string                  { return "memory " + m.only }
func (m *memory) Covers(name records.Name) bool { return strings.HasSuffix(string(name), m.only) }
func (m *memory) Changed() <-chan struct{}      { return m.changed }

func (m *memory) Publish(ctx context.Context, hosts []records.Host, whole bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-time.After(m.slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	m.rounds = append(m.rounds, len(hosts))
	if m.down != nil {
		return m.down
	}
	if whole {
		m.wholes++
		clear(m.served)
	}
	refused := make(HostErrors)
	for _, h := range hosts {
		if err := m.refuse[h.Name]; err != nil {
			refused[h.Name] = err
			continue
		}
		m.served[h.Name] = h
	}
	if len(refused) > 0 {
		return refused
	}
	return nil
}

func (m *memory) set(f func(m *memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func (m *memory) serves(name records.Name) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.served[name].Revision
}

// truth is the least that a store does for its followers.
type truth struct {
	mu       sync.Mutex
	hosts    map[records.Name]records.Host
	revision uint64
	changed  chan struct{}
}

func newTruth() *truth {
	return &truth{hosts: make(map[records.Name]records.Host), changed: make(chan struct{})}
}

func (s *truth) set(name records.Name, addrs ...string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	h := records.Host{Name: name, Revision: s.revision, TTL: 300}
	for _, a := range addrs {
		h.Records = append(h.Records, records.Record{Addr: netip.MustParseAddr(a)})
	}
	records.Sort(h.Records)
	s.hosts[name] = h
	close(s.changed)
	s.changed = make(chan struct{})
	return s.revision
}

func (s *truth) follow() Source { return &follower{truth: s} }

type follower struct {
	*truth
	started bool
	reached uint64
}

func (f *follower) Next(ctx context.Context) (records.Update, error) {
	for {
		f.mu.Lock()
		if !f.started || f.reached < f.revision {
			u := records.Update{Revision: f.revision, Whole: !f.started}
			for _, h := range f.hosts {
				if u.Whole || h.Revision > f.reached {
					u.Hosts = append(u.Hosts, h)
				}
			}
			f.started, f.reached = true, f.revision
			f.mu.Unlock()
			return u, nil
		}
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return records.Update{}, ctx.Err()
		}
	}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// logTo logs to a buffer, which is to be read once nothing logs any more.
func logTo(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// running starts a set; the test's end stops it.
func running(t testing.TB, s *truth, targets ...Target) *Set {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	set := NewSet(s.follow, quiet(), targets...)
	var done sync.WaitGroup
	done.Go(func() { set.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	return set
}

func patience(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestSetBringsTargetsToTheStore(t *testing.T) {
	s := newTruth()
	s.set("a.example.com", "203.0.113.1")
	all, some := newMemory(""), newMemory(".example.net")
	set := running(t, s, all, some)

	revision := s.set("b.example.net", "203.0.113.2")
	if err := set.Wait(patience(t), []records.Name{"b.example.net"}, revision); err != nil {
		t.Fatal(err)
	}
	if all.serves("b.example.net") != revision || some.serves("b.example.net") != revision {
		t.Error("Wait returned before both targets had the host")
	}
	if all.serves("a.example.com") != 1 {
		t.Error("the picture at the start is missing")
	}
	if some.serves("a.example.com") != 0 {
		t.Error("a target got a name that it does not cover")
	}
}

func TestChangesGatherWhileARoundIsUnderWay(t *testing.T) {
	s := newTruth()
	m := newMemory("")
	m.slow = 20 * time.Millisecond
	set := running(t, s, m)
	var last uint64
	for i := range 500 {
		last = s.set(records.Name(fmt.Sprintf("h%d.example.com", i%50)), "203.0.113.1")
	}
	var waiters sync.WaitGroup
	for i := range 500 {
		waiters.Go(func() {
			name := records.Name(fmt.Sprintf("h%d.example.com", i%50))
			if err := set.Wait(patience(t), []records.Name{name}, last); err != nil {
				t.Error(err)
			}
		})
	}
	waiters.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.rounds) > 20 {
		t.Errorf("500 changes took %d rounds: %v", len(m.rounds), m.rounds)
	}
	if got := slices.Collect(maps.Keys(m.served)); len(got) != 50 {
		t.Errorf("%d hosts are served", len(got))
	}
}

func TestAWholeFailureIsToldAndMadeGood(t *testing.T) {
	s := newTruth()
	m := newMemory("")
	set := running(t, s, m)
	names := []records.Name{"a.example.com"}
	if err := set.Wait(patience(t), names, s.set(names[0], "203.0.113.1")); err != nil {
		t.Fatal(err)
	}
	down := errors.New("zones.a:3: nonsense")
	m.set(func(m *memory) { m.down = down })
	revision := s.set(names[0], "203.0.113.2")
	err := set.Wait(patience(t), names, revision)
	var e *Error
	if !errors.As(err, &e) || e.Target != "memory " || !errors.Is(err, down) {
		t.Fatalf("got %v", err)
	}
	// While it waits to try again, the next one is told at once.
	other := s.set("b.example.com", "203.0.113.3")
	if err := set.Wait(patience(t), []records.Name{"b.example.com"}, other); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
	// What was published before is still good.
	if err := set.Wait(patience(t), names, revision-1); err != nil {
		t.Error(err)
	}
	eventually(t, func() bool { return set.Progress()[0].Pending == 2 })
	p := set.Progress()[0]
	if p.NextTry.IsZero() || p.LastError != down.Error() || p.PendingSince.IsZero() {
		t.Errorf("progress is %+v", p)
	}
	m.set(func(m *memory) { m.down = nil })
	m.changed <- struct{}{} // the operator repaired the file
	eventually(t, func() bool { return m.serves("b.example.com") == other })
	if err := set.Wait(patience(t), names, other); err != nil {
		t.Error(err)
	}
	eventually(t, func() bool { return set.Progress()[0].LastError == "" })
	if p := set.Progress()[0]; p.Revision != other || p.Pending != 0 || !p.NextTry.IsZero() || !p.PendingSince.IsZero() {
		t.Errorf("progress is %+v", p)
	}
}

func TestARefusedHostHoldsUpNobody(t *testing.T) {
	s := newTruth()
	m := newMemory("")
	m.refuse = HostErrors{"bad.example.com": errors.New("REFUSED")}
	set := running(t, s, m)
	bad := s.set("bad.example.com", "203.0.113.1")
	if err := set.Wait(patience(t), []records.Name{"bad.example.com"}, bad); err == nil {
		t.Error("a refused host is said to be published")
	}
	for i := range 5 {
		name := records.Name(fmt.Sprintf("h%d.example.com", i))
		if err := set.Wait(patience(t), []records.Name{name}, s.set(name, "203.0.113.1")); err != nil {
			t.Fatal(err)
		}
	}
	if p := set.Progress()[0]; p.Failed != 1 || p.Revision != s.revision || p.NextTry.IsZero() {
		t.Errorf("progress is %+v", p)
	}
	m.set(func(m *memory) { m.refuse = nil })
	eventually(t, func() bool { return m.serves("bad.example.com") == bad }) // by the retry
	if err := set.Wait(patience(t), []records.Name{"bad.example.com"}, bad); err != nil {
		t.Error(err)
	}
}

func TestRebuildWritesWhole(t *testing.T) {
	s := newTruth()
	m := newMemory("")
	set := running(t, s, m)
	s.set("a.example.com", "203.0.113.1")
	for range 3 {
		m.set(func(m *memory) { clear(m.served) })
		if err := set.Rebuild(patience(t)); err != nil {
			t.Fatal(err)
		}
		if m.serves("a.example.com") == 0 {
			t.Fatal("the rebuild did not bring the host back")
		}
	}
	m.set(func(m *memory) { m.down = errors.New("no space left on device") })
	if err := set.Rebuild(patience(t)); err == nil {
		t.Error("a failed rebuild is reported as done")
	}
	m.set(func(m *memory) { m.down = nil; clear(m.served) })
	eventually(t, func() bool { return m.serves("a.example.com") != 0 })
}

func TestWaitEndsWithItsContext(t *testing.T) {
	s := newTruth()
	m := newMemory("")
	set := running(t, s, m)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err := set.Wait(ctx, []records.Name{"a.example.com"}, 99)
	if err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("got %v", err)
	}
}

func TestShutdownPublishesWhatIsPending(t *testing.T) {
	s := newTruth()
	m := newMemory("")
	m.slow = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	set := NewSet(s.follow, quiet(), m)
	var done sync.WaitGroup
	done.Go(func() { set.Run(ctx) })
	if err := set.Wait(patience(t), []records.Name{"a.example.com"}, s.set("a.example.com", "203.0.113.1")); err != nil {
		t.Fatal(err)
	}
	s.set("a.example.com", "203.0.113.2")
	time.Sleep(10 * time.Millisecond) // the round for it begins
	last := s.set("a.example.com", "203.0.113.3")
	time.Sleep(10 * time.Millisecond) // gathered meanwhile
	cancel()
	done.Wait()
	if m.serves("a.example.com") != last {
		t.Errorf("revision %d is served, not %d", m.serves("a.example.com"), last)
	}
}

func TestBackoffGrowsToAMinute(t *testing.T) {
	var b backoff
	now := time.Unix(1e9, 0)
	for i := range 20 {
		b.fail(now)
		full := min(time.Second<<i, time.Minute)
		if d := b.until.Sub(now); d > full || d < full*3/4 {
			t.Errorf("failure %d waits %v, not about %v", i, d, full)
		}
	}
	if b.reset(); b.waiting(now) {
		t.Error("it waits after a success")
	}
}

func eventually(t testing.TB, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come true")
		}
	}
}

func BenchmarkWait(b *testing.B) {
	s := newTruth()
	set := running(b, s, newMemory(""))
	b.SetParallelism(500)
	b.RunParallel(func(pb *testing.PB) {
		name := records.Name("h.example.com")
		for pb.Next() {
			if err := set.Wait(context.Background(), []records.Name{name}, s.set(name, "203.0.113.1")); err != nil {
				b.Fatal(err)
			}
		}
	})
}
