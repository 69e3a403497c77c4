package follow

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"dnsgate/internal/records"
)

// maxRefused is how many refused hosts an acknowledgement can name. With more of them
// nothing is acknowledged: the name server hardly serves what it should.
const maxRefused = 200

// maxQueue is how many revisions wait to be acknowledged.
const maxQueue = 4096

// acks tells the gateway which revisions are served.
type acks struct {
	follower *Follower
	out      io.Writer
	wake     chan struct{}
	unserved map[records.Name]bool // belongs to run

	mu    sync.Mutex
	queue []stored
}

// stored is a revision of the gateway, and the revision of the follower's store that
// holds it.
type stored struct {
	theirs, ours uint64
	names, gone  []records.Name // that have records, and that have none any more
	whole        bool           // any host of the store may have changed
}

func newAcks(f *Follower, out io.Writer) *acks {
	return &acks{follower: f, out: out, wake: make(chan struct{}, 1), unserved: make(map[records.Name]bool)}
}

// stored notes that the store holds these revisions of the gateway, by g.
func (a *acks) stored(revisions []uint64, g *group, ours uint64) {
	a.mu.Lock()
	for i, theirs := range revisions {
		s := stored{theirs: theirs, ours: ours, whole: g.whole}
		if i == len(revisions)-1 {
			for _, h := range g.hosts {
				if len(h.Records) > 0 {
					s.names = append(s.names, h.Name)
				} else {
					s.gone = append(s.gone, h.Name)
				}
			}
		}
		if n := len(a.queue); n >= maxQueue { // the publisher is stuck: only the newest matters, with all hosts
			s.names, s.gone, s.whole = nil, nil, true
			a.queue = a.queue[:n-1]
		}
		a.queue = append(a.queue, s)
	}
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *acks) run(ctx context.Context) error {
	for {
		a.mu.Lock()
		queue := a.queue
		a.queue = nil
		a.mu.Unlock()
		if len(queue) == 0 {
			select {
			case <-a.wake:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		for len(queue) > 0 {
			n := 1 // the revisions that one publication serves
			for n < len(queue) && queue[n].ours == queue[0].ours {
				n++
			}
			if err := a.tell(ctx, queue[:n]); err != nil {
				return err
			}
			queue = queue[n:]
		}
	}
}

// tell waits until the revisions are served, and acknowledges them.
func (a *acks) tell(ctx context.Context, some []stored) error {
	refused, err := a.follower.o.Reach(ctx, some[0].ours)
	if err != nil {
		return err
	}
	names, err := a.toCheck(ctx, some)
	if err != nil {
		return err
	}
	refused = append(refused, a.check(ctx, names)...)
	slices.Sort(refused)
	refused = slices.Compact(refused)
	if len(refused) > maxRefused {
		a.follower.o.Log.Error("nothing is acknowledged", "refused", len(refused), "why", "too many hosts are not taken by this name server")
		return nil
	}
	var text []byte
	for _, s := range some {
		text = fmt.Appendf(text, "at %d", s.theirs)
		for _, name := range refused {
			text = append(append(text, ' '), name...)
		}
		text = append(text, '\n')
	}
	_, err = a.out.Write(text)
	return err
}

// toCheck returns the hosts that may be unserved: those that were, and those that some
// of the revisions brought.
func (a *acks) toCheck(ctx context.Context, some []stored) ([]records.Name, error) {
	if slices.ContainsFunc(some, func(s stored) bool { return s.whole }) {
		return a.all(ctx)
	}
	names := maps.Clone(a.unserved)
	for _, s := range some {
		for _, name := range s.names {
			names[name] = true
		}
		for _, name := range s.gone {
			delete(names, name)
		}
	}
	return slices.Collect(maps.Keys(names)), nil
}

// all returns the hosts that have records.
func (a *acks) all(ctx context.Context) (names []records.Name, err error) {
	store := a.follower.o.Store
	found, err := store.Find(ctx, records.All)
	if err != nil {
		return nil, err
	}
	err = records.Each(ctx, store, found, func(h records.Host) {
		if len(h.Records) > 0 {
			names = append(names, h.Name)
		}
	})
	return names, err
}

// check notes which of names are not served here, and returns them.
func (a *acks) check(ctx context.Context, names []records.Name) (unserved []records.Name) {
	clear(a.unserved)
	if len(names) == 0 || a.follower.o.Unserved == nil {
		return nil
	}
	unserved = a.follower.o.Unserved(ctx, names)
	for _, name := range unserved {
		a.unserved[name] = true
	}
	return unserved
}
