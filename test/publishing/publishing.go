// Package publishing has what tests of publish and of its targets share: the
// least of a store, a target in memory, and a Set that runs while a test does.
package publishing

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/test/rig"
)

// Memory is a target that keeps what it is given, and refuses what it is told.
type Memory struct {
	only string // covers names with this suffix

	mu      sync.Mutex
	Served  map[records.Name]records.Host
	Rounds  []int // hosts in each round
	Wholes  int
	Down    error
	Refuse  publish.HostErrors
	Slow    time.Duration
	Changes chan struct{}
}

func NewMemory(only string) *Memory {
	return &Memory{only: only, Served: make(map[records.Name]records.Host), Changes: make(chan struct{}, 1)}
}

func (m *Memory) Name() string                  { return "memory " + m.only }
func (m *Memory) Covers(name records.Name) bool { return strings.HasSuffix(string(name), m.only) }
func (m *Memory) Changed() <-chan struct{}      { return m.Changes }

func (m *Memory) Publish(ctx context.Context, hosts []records.Host, whole bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-time.After(m.Slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	m.Rounds = append(m.Rounds, len(hosts))
	if m.Down != nil {
		return m.Down
	}
	if whole {
		m.Wholes++
		clear(m.Served)
	}
	refused := make(publish.HostErrors)
	for _, h := range hosts {
		if err := m.Refuse[h.Name]; err != nil {
			refused[h.Name] = err
			continue
		}
		m.Served[h.Name] = h
	}
	if len(refused) > 0 {
		return refused
	}
	return nil
}

func (m *Memory) Set(f func(m *Memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func (m *Memory) Serves(name records.Name) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.Served[name].Revision
}

// Truth is the least that a store does for its followers.
type Truth struct {
	mu       sync.Mutex
	hosts    map[records.Name]records.Host
	Revision uint64
	changed  chan struct{}
}

func NewTruth() *Truth {
	return &Truth{hosts: make(map[records.Name]records.Host), changed: make(chan struct{})}
}

func (s *Truth) Set(name records.Name, addrs ...string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Revision++
	h := records.Host{Name: name, Revision: s.Revision, TTL: 300}
	for _, a := range addrs {
		h.Records = append(h.Records, records.Record{Addr: netip.MustParseAddr(a)})
	}
	records.Sort(h.Records)
	s.hosts[name] = h
	close(s.changed)
	s.changed = make(chan struct{})
	return s.Revision
}

func (s *Truth) Follow() publish.Source { return &follower{Truth: s} }

type follower struct {
	*Truth
	started bool
	reached uint64
}

func (f *follower) Next(ctx context.Context) (records.Update, error) {
	for {
		f.mu.Lock()
		if !f.started || f.reached < f.Revision {
			u := records.Update{Revision: f.Revision, Whole: !f.started}
			for _, h := range f.hosts {
				if u.Whole || h.Revision > f.reached {
					u.Hosts = append(u.Hosts, h)
				}
			}
			f.started, f.reached = true, f.Revision
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

func Quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// LogTo logs to a buffer, which is to be read once nothing logs any more.
func LogTo(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// Run starts a set; the test's end stops it.
func Run(t testing.TB, s *Truth, targets ...publish.Target) *publish.Set {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	set := publish.NewSet(s.Follow, Quiet(), targets...)
	var done sync.WaitGroup
	done.Go(func() { set.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	return set
}

func Patience(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func Eventually(t testing.TB, is func() bool) {
	t.Helper()
	rig.Within(t, 10*time.Second, "it comes true", is)
}
