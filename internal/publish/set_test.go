package publish_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/test/publishing"
)

func TestSetBringsTargetsToTheStore(t *testing.T) {
	s := publishing.NewTruth()
	s.Set("a.example.com", "203.0.113.1")
	all, some := publishing.NewMemory(""), publishing.NewMemory(".example.net")
	set := publishing.Run(t, s, all, some)

	revision := s.Set("b.example.net", "203.0.113.2")
	if err := set.Wait(publishing.Patience(t), []records.Name{"b.example.net"}, revision); err != nil {
		t.Fatal(err)
	}
	if all.Serves("b.example.net") != revision || some.Serves("b.example.net") != revision {
		t.Error("Wait returned before both targets had the host")
	}
	if all.Serves("a.example.com") != 1 {
		t.Error("the picture at the start is missing")
	}
	if some.Serves("a.example.com") != 0 {
		t.Error("a target got a name that it does not cover")
	}
}

func TestChangesGatherWhileARoundIsUnderWay(t *testing.T) {
	s := publishing.NewTruth()
	m := publishing.NewMemory("")
	m.Slow = 20 * time.Millisecond
	set := publishing.Run(t, s, m)
	var last uint64
	for i := range 500 {
		last = s.Set(records.Name(fmt.Sprintf("h%d.example.com", i%50)), "203.0.113.1")
	}
	var waiters sync.WaitGroup
	for i := range 500 {
		waiters.Go(func() {
			name := records.Name(fmt.Sprintf("h%d.example.com", i%50))
			if err := set.Wait(publishing.Patience(t), []records.Name{name}, last); err != nil {
				t.Error(err)
			}
		})
	}
	waiters.Wait()
	m.Set(func(m *publishing.Memory) {
		if len(m.Rounds) > 20 {
			t.Errorf("500 changes took %d rounds: %v", len(m.Rounds), m.Rounds)
		}
		if len(m.Served) != 50 {
			t.Errorf("%d hosts are served", len(m.Served))
		}
	})
}

func TestAWholeFailureIsToldAndMadeGood(t *testing.T) {
	s := publishing.NewTruth()
	m := publishing.NewMemory("")
	set := publishing.Run(t, s, m)
	names := []records.Name{"a.example.com"}
	if err := set.Wait(publishing.Patience(t), names, s.Set(names[0], "203.0.113.1")); err != nil {
		t.Fatal(err)
	}
	down := errors.New("zones.a:3: nonsense")
	m.Set(func(m *publishing.Memory) { m.Down = down })
	revision := s.Set(names[0], "203.0.113.2")
	err := set.Wait(publishing.Patience(t), names, revision)
	var e *publish.Error
	if !errors.As(err, &e) || e.Target != "memory " || !errors.Is(err, down) {
		t.Fatalf("got %v", err)
	}
	// While it waits to try again, the next one is told at once.
	other := s.Set("b.example.com", "203.0.113.3")
	if err := set.Wait(publishing.Patience(t), []records.Name{"b.example.com"}, other); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
	// What was published before is still good.
	if err := set.Wait(publishing.Patience(t), names, revision-1); err != nil {
		t.Error(err)
	}
	publishing.Eventually(t, func() bool { return set.Progress()[0].Pending == 2 })
	p := set.Progress()[0]
	if p.NextTry.IsZero() || p.LastError != down.Error() || p.PendingSince.IsZero() {
		t.Errorf("progress is %+v", p)
	}
	m.Set(func(m *publishing.Memory) { m.Down = nil })
	m.Changes <- struct{}{} // the operator repaired the file
	publishing.Eventually(t, func() bool { return m.Serves("b.example.com") == other })
	if err := set.Wait(publishing.Patience(t), names, other); err != nil {
		t.Error(err)
	}
	publishing.Eventually(t, func() bool { return set.Progress()[0].LastError == "" })
	if p := set.Progress()[0]; p.Revision != other || p.Pending != 0 || !p.NextTry.IsZero() || !p.PendingSince.IsZero() {
		t.Errorf("progress is %+v", p)
	}
}

func TestARefusedHostHoldsUpNobody(t *testing.T) {
	s := publishing.NewTruth()
	m := publishing.NewMemory("")
	m.Refuse = publish.HostErrors{"bad.example.com": errors.New("REFUSED")}
	set := publishing.Run(t, s, m)
	bad := s.Set("bad.example.com", "203.0.113.1")
	if err := set.Wait(publishing.Patience(t), []records.Name{"bad.example.com"}, bad); err == nil {
		t.Error("a refused host is said to be published")
	}
	for i := range 5 {
		name := records.Name(fmt.Sprintf("h%d.example.com", i))
		if err := set.Wait(publishing.Patience(t), []records.Name{name}, s.Set(name, "203.0.113.1")); err != nil {
			t.Fatal(err)
		}
	}
	if p := set.Progress()[0]; p.Failed != 1 || p.Revision != s.Revision || p.NextTry.IsZero() {
		t.Errorf("progress is %+v", p)
	}
	m.Set(func(m *publishing.Memory) { m.Refuse = nil })
	publishing.Eventually(t, func() bool { return m.Serves("bad.example.com") == bad }) // by the retry
	if err := set.Wait(publishing.Patience(t), []records.Name{"bad.example.com"}, bad); err != nil {
		t.Error(err)
	}
}

func TestRebuildWritesWhole(t *testing.T) {
	s := publishing.NewTruth()
	m := publishing.NewMemory("")
	set := publishing.Run(t, s, m)
	s.Set("a.example.com", "203.0.113.1")
	for range 3 {
		m.Set(func(m *publishing.Memory) { clear(m.Served) })
		if err := set.Rebuild(publishing.Patience(t)); err != nil {
			t.Fatal(err)
		}
		if m.Serves("a.example.com") == 0 {
			t.Fatal("the rebuild did not bring the host back")
		}
	}
	m.Set(func(m *publishing.Memory) { m.Down = errors.New("no space left on device") })
	if err := set.Rebuild(publishing.Patience(t)); err == nil {
		t.Error("a failed rebuild is reported as done")
	}
	m.Set(func(m *publishing.Memory) { m.Down = nil; clear(m.Served) })
	publishing.Eventually(t, func() bool { return m.Serves("a.example.com") != 0 })
}

func TestWaitEndsWithItsContext(t *testing.T) {
	s := publishing.NewTruth()
	m := publishing.NewMemory("")
	set := publishing.Run(t, s, m)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err := set.Wait(ctx, []records.Name{"a.example.com"}, 99)
	if err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("got %v", err)
	}
}

func TestShutdownPublishesWhatIsPending(t *testing.T) {
	s := publishing.NewTruth()
	m := publishing.NewMemory("")
	m.Slow = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	set := publish.NewSet(s.Follow, publishing.Quiet(), m)
	var done sync.WaitGroup
	done.Go(func() { set.Run(ctx) })
	if err := set.Wait(publishing.Patience(t), []records.Name{"a.example.com"}, s.Set("a.example.com", "203.0.113.1")); err != nil {
		t.Fatal(err)
	}
	s.Set("a.example.com", "203.0.113.2")
	time.Sleep(10 * time.Millisecond) // the round for it begins
	last := s.Set("a.example.com", "203.0.113.3")
	time.Sleep(10 * time.Millisecond) // gathered meanwhile
	cancel()
	done.Wait()
	if m.Serves("a.example.com") != last {
		t.Errorf("revision %d is served, not %d", m.Serves("a.example.com"), last)
	}
}

func BenchmarkWait(b *testing.B) {
	s := publishing.NewTruth()
	set := publishing.Run(b, s, publishing.NewMemory(""))
	b.SetParallelism(500)
	b.RunParallel(func(pb *testing.PB) {
		name := records.Name("h.example.com")
		for pb.Next() {
			if err := set.Wait(context.Background(), []records.Name{name}, s.Set(name, "203.0.113.1")); err != nil {
				b.Fatal(err)
			}
		}
	})
}
