package command

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dnsgate/internal/records"
	"dnsgate/internal/screen"
)

// hostTable is the table of all hosts that open screens share. It exists only while a
// screen is open. Hosts that change are replaced in a copy of it, which takes a tenth of
// the time of reading all hosts. Those are read again if some were heard of meanwhile.
type hostTable struct {
	heard atomic.Uint64 // how often hosts were heard of

	mu      sync.Mutex
	hosts   []screen.Host
	authors map[records.Name]author
	known   uint64 // the revision that it shows
	times   uint64 // the value of heard that it shows
	changed turn
	whole   turn
}

// turn is when the table was made last, and how long that took.
type turn struct {
	at   time.Time
	took time.Duration
}

func turnSince(began time.Time) turn { return turn{time.Now(), time.Since(began)} }

// due reports whether it is time for the next turn, if turns come once an interval and
// take a hundredth of the time at most.
func (t turn) due(interval time.Duration) bool { return time.Since(t.at) >= max(interval, 100*t.took) }

// author is who changed a host last, if that change was among those that were read.
type author struct {
	at          time.Time
	key, source string
}

// maxChanges is how many of the last changes are read. The author of an older change is
// shown only when the host is opened.
const maxChanges = 10_000

const (
	changedInterval = time.Second
	wholeInterval   = 20 * time.Second
)

func (t *hostTable) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hosts, t.authors, t.known, t.times, t.changed, t.whole = nil, nil, 0, 0, turn{}, turn{}
}

// rows are the hosts that have records, in the order of their names. They are not
// changed afterwards.
func (t *hostTable) rows(ctx context.Context, in *Interpreter) ([]screen.Host, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	began, revision, heard := time.Now(), in.Store.Revision(), t.heard.Load()
	whole := t.hosts == nil || heard != t.times && t.whole.due(wholeInterval)
	if !whole && (revision == t.known || !t.changed.due(changedInterval)) {
		return t.hosts, nil
	}
	names, all, err := t.learn(ctx, in, revision)
	if err != nil {
		return nil, unreadable(err)
	}
	var hosts []screen.Host
	if whole || !all {
		hosts, err = t.read(ctx, in)
	} else {
		hosts, err = t.replace(ctx, in, names)
	}
	if err != nil {
		return nil, unreadable(err)
	}
	t.hosts, t.known, t.changed = hosts, revision, turnSince(began)
	if whole {
		t.whole, t.times = t.changed, heard
	}
	return hosts, nil
}

// learn reads the changes up to a revision that the table does not show yet. It returns
// the names of their hosts, in order, and whether these are all.
func (t *hostTable) learn(ctx context.Context, in *Interpreter, revision uint64) (names []records.Name, all bool, err error) {
	limit := int(min(8*(revision-min(t.known, revision)), maxChanges)) // most transactions are of a few hosts
	changes, err := in.Store.History(ctx, records.All, limit)
	if all = reach(changes, t.known); !all && err == nil && limit < maxChanges {
		changes, err = in.Store.History(ctx, records.All, maxChanges)
		all = reach(changes, t.known)
	}
	if err != nil {
		return nil, false, err
	}
	if t.authors == nil || len(t.authors) > 8*maxChanges {
		t.authors = make(map[records.Name]author)
	}
	for _, c := range slices.Backward(changes) {
		if c.Revision > t.known {
			t.authors[c.Name] = author{c.Time, c.Key, c.Source}
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), all, nil
}

// reach reports whether changes, the newest first, are all since a revision.
func reach(changes []records.Change, revision uint64) bool {
	return len(changes) > 0 && changes[len(changes)-1].Revision <= revision
}

// read makes the table of all hosts.
func (t *hostTable) read(ctx context.Context, in *Interpreter) ([]screen.Host, error) {
	hosts := make([]screen.Host, 0, min(in.Store.Len(), screen.MaxHosts))
	comments := in.comments()
	err := in.eachHost(ctx, records.All, func(h records.Host) {
		if len(hosts) < screen.MaxHosts && shownHost(h) {
			hosts = append(hosts, t.row(h, in.seen(h), comments))
		}
	})
	return hosts, err
}

// replace makes the table from the one before and the hosts that changed.
func (t *hostTable) replace(ctx context.Context, in *Interpreter, names []records.Name) ([]screen.Host, error) {
	before, hosts := t.hosts, make([]screen.Host, 0, len(t.hosts)+len(names))
	comments := in.comments()
	err := records.Each(ctx, in.Store, names, func(h records.Host) {
		i, found := slices.BinarySearchFunc(before, string(h.Name), func(row screen.Host, name string) int { return cmp.Compare(row.Name, name) })
		hosts, before = append(hosts, before[:i]...), before[i:]
		if found {
			before = before[1:]
		}
		if shownHost(h) {
			hosts = append(hosts, t.row(h, in.seen(h), comments))
		}
	})
	hosts = append(hosts, before...)
	return hosts[:min(len(hosts), screen.MaxHosts)], err
}

func shownHost(h records.Host) bool { return len(h.Records) > 0 && !h.Name.IsChallenge() }

// comments are those of the keys, by fingerprint.
func (in *Interpreter) comments() map[string]string {
	comments := make(map[string]string)
	grants, _ := in.Keys()
	for _, g := range grants {
		comments[g.Fingerprint] = g.Comment
	}
	return comments
}

func (t *hostTable) row(h records.Host, seen time.Time, comments map[string]string) screen.Host {
	row := screen.Host{Name: string(h.Name), Addresses: values(h.Records), Seen: seen}
	if h.Session > 0 {
		row.Changed = time.UnixMicro(h.Session)
	}
	if c, ok := t.authors[h.Name]; ok {
		row.Changed, row.Who, row.From = c.at, c.key, c.source
		fingerprint, _, _ := strings.Cut(c.key, ";")
		if comment := comments[fingerprint]; comment != "" {
			row.Who = comment
		}
	}
	return row
}
