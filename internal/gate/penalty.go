package gate

import (
	"container/heap"
	"net/netip"
	"slices"
	"sync"
	"time"

	"dnsgate/internal/command"
)

// offence is a reason for a penalty: the classes of PerSourcePenalties in
// sshd_config(5), with its times.
type offence struct {
	name string
	cost time.Duration
}

var (
	noAuth        = offence{"no login tried", time.Second}
	authFail      = offence{"failed login", 5 * time.Second}
	graceExceeded = offence{"login took too long", 10 * time.Second}
	crash         = offence{"made the gateway panic", 90 * time.Second}
)

// Also from sshd_config(5).
const (
	penaltyMin   = 15 * time.Second // a source with a longer penalty is slowed
	slowPace     = time.Second      // between connections of a source that is slowed
	penaltyMax   = 10 * time.Minute // the longest penalty of any source
	maxPenalized = 65_536           // sources kept, for each family
	maxPenalties = 20               // shown by status
)

// penalties remembers the penalties of sources. They add up, and run off with time; a
// source whose penalty was once longer than penaltyMin is slowed until all of it has
// run off. If there are too many sources, those whose penalties end first are forgotten
// early.
type penalties struct {
	mu     sync.Mutex
	v4, v6 penaltyBox
}

// penaltyBox holds the penalties of one address family.
type penaltyBox struct {
	by      map[netip.Prefix]*penalty
	soonest penaltyHeap
}

type penalty struct {
	source netip.Prefix
	until  time.Time
	slowed bool
	turn   time.Time // when it may next connect
	why    offence
	index  int // in penaltyHeap
}

func (p *penalties) box(source netip.Prefix) *penaltyBox {
	if source.Addr().Is4() {
		return &p.v4
	}
	return &p.v6
}

// add penalizes source. It returns the end of the slowing if source was not slowed
// before.
func (p *penalties) add(source netip.Prefix, o offence, now time.Time) (until time.Time, begins bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	box := p.box(source)
	box.expire(now)
	pen := box.by[source]
	if pen == nil {
		pen = box.insert(source, now)
	}
	pen.why = o
	pen.until = pen.until.Add(o.cost)
	if latest := now.Add(penaltyMax); pen.until.After(latest) {
		pen.until = latest
	}
	heap.Fix(&box.soonest, pen.index)
	begins = !pen.slowed && pen.until.Sub(now) > penaltyMin
	pen.slowed = pen.slowed || begins
	return pen.until, begins
}

// slows reports whether connections from source are slowed now.
func (p *penalties) slows(source netip.Prefix, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	box := p.box(source)
	box.expire(now)
	pen := box.by[source]
	return pen != nil && pen.slowed
}

// turn allows a slowed source one connection in each slowPace.
func (p *penalties) turn(source netip.Prefix, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	pen := p.box(source).by[source]
	if pen == nil {
		return true
	}
	if now.Before(pen.turn) {
		return false
	}
	pen.turn = now.Add(slowPace)
	return true
}

// list returns the number of sources that are slowed now, and those with the longest
// penalties.
func (p *penalties) list(now time.Time) (refused int, longest []command.Penalty) {
	p.mu.Lock()
	defer p.mu.Unlock()
	longest = []command.Penalty{}
	for _, box := range []*penaltyBox{&p.v4, &p.v6} {
		box.expire(now)
		for _, pen := range box.soonest {
			if pen.slowed {
				longest = append(longest, command.Penalty{Source: pen.source.String(), Until: pen.until, Why: pen.why.name})
			}
		}
	}
	slices.SortFunc(longest, func(a, b command.Penalty) int { return b.Until.Compare(a.Until) })
	return len(longest), longest[:min(len(longest), maxPenalties)]
}

func (b *penaltyBox) expire(now time.Time) {
	for len(b.soonest) > 0 && !b.soonest[0].until.After(now) {
		b.forget()
	}
}

// forget drops the penalty that ends first.
func (b *penaltyBox) forget() {
	delete(b.by, heap.Pop(&b.soonest).(*penalty).source)
}

func (b *penaltyBox) insert(source netip.Prefix, now time.Time) *penalty {
	if len(b.by) >= maxPenalized {
		b.forget()
	}
	if b.by == nil {
		b.by = make(map[netip.Prefix]*penalty)
	}
	pen := &penalty{source: source, until: now}
	b.by[source] = pen
	heap.Push(&b.soonest, pen)
	return pen
}

// penaltyHeap implements heap.Interface; the penalty that ends first comes first.
type penaltyHeap []*penalty

func (h penaltyHeap) Len() int           { return len(h) }
func (h penaltyHeap) Less(i, j int) bool { return h[i].until.Before(h[j].until) }

func (h penaltyHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *penaltyHeap) Push(x any) {
	pen := x.(*penalty)
	pen.index = len(*h)
	*h = append(*h, pen)
}

func (h *penaltyHeap) Pop() any {
	last := len(*h) - 1
	pen := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return pen
}
