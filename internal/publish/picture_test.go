package publish_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"
	"dnsgate/test/publishing"
	"dnsgate/test/rig"
)

// inPieces is a target that takes the whole in pieces, and does something at each.
type inPieces struct {
	*publishing.Memory
	at func(piece int) error
}

func (p inPieces) PublishAll(ctx context.Context, hosts publish.Pieces) error {
	n := 0
	all, err := publish.Join(func(yield func([]records.Host, error) bool) {
		for some, err := range hosts {
			if n++; err == nil {
				err = p.at(n)
			}
			if !yield(some, err) {
				return
			}
		}
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.Publish(ctx, all, true)
}

var errEnough = errors.New("enough")

const piecesHosts = 5000

// hostOf is host i at a revision.
func hostOf(i int, revision uint64) memory.Entry {
	addr := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
	return memory.Entry{Host: records.Host{Name: records.Name(fmt.Sprintf("h%d.example.com", i)), Revision: revision, TTL: 300, Records: []records.Record{{Addr: addr}}}}
}

// runPieces runs a set with one target and a store of many hosts.
func runPieces(t *testing.T, at func(x *memory.Index, piece int) error) (*memory.Index, *publishing.Memory, *publish.Set, *rig.Output) {
	x := memory.NewIndex(0, 0, 0)
	for i := range piecesHosts {
		x.Load(hostOf(i, uint64(i+1)))
	}
	x.Begin(piecesHosts, 0)
	m := publishing.NewMemory("")
	log := new(rig.Output)
	target := inPieces{m, func(piece int) error { return at(x, piece) }}
	set := publish.NewSet(func() publish.Source { return x.Follow(0) }, slog.New(slog.NewTextHandler(log, nil)), target)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { set.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return x, m, set, log
}

// What changes while a target reads is published with the rest, and nothing is said to
// be published before it is.
func TestAWholeInPieces(t *testing.T) {
	revision := uint64(piecesHosts)
	_, m, set, _ := runPieces(t, func(x *memory.Index, piece int) error {
		revision++
		x.Apply(revision, []memory.Entry{hostOf(piece, revision)})
		return nil
	})
	name := hostOf(0, 0).Name
	if err := set.Wait(publishing.Patience(t), []records.Name{name}, 1); err != nil {
		t.Fatal(err)
	}
	publishing.Eventually(t, func() bool { return set.Progress()[0].Revision == revision })
	m.Set(func(m *publishing.Memory) {
		if len(m.Served) != piecesHosts || m.Wholes != 1 {
			t.Errorf("%d hosts in %d wholes", len(m.Served), m.Wholes)
		}
	})
	for piece := range revision - piecesHosts {
		name, want := hostOf(int(piece)+1, 0).Name, piecesHosts+piece+1
		if got := m.Serves(name); got != want {
			t.Errorf("%s is served as at %d, not %d", name, got, want)
		}
	}
}

// A target that gives up, and one that says it is done before it has read all, get the
// whole again.
func TestAWholeThatIsNotRead(t *testing.T) {
	for name, failure := range map[string]error{"an error": errors.New("disk full"), "enough": errEnough} {
		t.Run(name, func(t *testing.T) {
			fails := 1
			_, m, set, log := runPieces(t, func(_ *memory.Index, piece int) error {
				if piece == 2 && fails > 0 {
					fails--
					return failure
				}
				return nil
			})
			publishing.Eventually(t, func() bool { return set.Progress()[0].Revision == piecesHosts })
			m.Set(func(m *publishing.Memory) {
				if len(m.Served) != piecesHosts {
					t.Errorf("%d hosts are served", len(m.Served))
				}
			})
			want := "disk full"
			if failure == errEnough {
				want = "not all hosts were read"
			}
			if p := set.Progress()[0]; p.Failures != 1 || !strings.Contains(log.String(), want) || strings.Contains(log.String(), "following") {
				t.Errorf("%d failures; logged is %s", p.Failures, log.String())
			}
		})
	}
}

// A host that is refused in a whole comes again, with its values.
func TestARefusedHostOfAWhole(t *testing.T) {
	bad := hostOf(4321, 4322)
	refuse := publish.HostErrors{bad.Name: errors.New("REFUSED")}
	begun := make(chan struct{})
	_, m, set, _ := runPieces(t, func(_ *memory.Index, piece int) error {
		if piece == 1 {
			<-begun
		}
		return nil
	})
	m.Set(func(m *publishing.Memory) { m.Refuse = refuse })
	close(begun)
	publishing.Eventually(t, func() bool { return set.Progress()[0].Failed == 1 })
	m.Set(func(m *publishing.Memory) { m.Refuse = nil })
	publishing.Eventually(t, func() bool { return m.Serves(bad.Name) == 4322 })
}
