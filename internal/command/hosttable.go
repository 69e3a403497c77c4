package command

import (
	"context"
	"strings"
	"sync"
	"time"

	"dnsgate/internal/records"
	"dnsgate/internal/screen"
)

// hostTable is the table of all hosts that open screens share. It exists only while a
// screen is open. Refreshing it takes at most a fiftieth of the time.
type hostTable struct {
	mu      sync.Mutex
	hosts   []screen.Host
	changed map[records.Name]lastChange
	known   uint64 // revision up to which changed is
	made    time.Time
	took    time.Duration
}

// lastChange is the last change of a host, if it was among those that were read.
type lastChange struct {
	at          time.Time
	key, source string
}

// maxChanges is how many of the last changes are read. The author of an older change is
// shown only when the host is opened.
const maxChanges = 10_000

const (
	tableAge     = time.Second
	unchangedAge = 10 * time.Second
	tableSeldom  = 25
)

func (t *hostTable) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hosts, t.changed, t.known, t.made, t.took = nil, nil, 0, time.Time{}, 0
}

// rows are the hosts that have records, in the order of their names. They are not
// changed afterwards.
func (t *hostTable) rows(ctx context.Context, in *Interpreter) ([]screen.Host, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	began := time.Now()
	least := max(tableAge, tableSeldom*t.took)
	if in.Store.Revision() == t.known {
		least = max(least, unchangedAge) // only the times when hosts were heard of may be new
	}
	if began.Sub(t.made) < least {
		return t.hosts, nil
	}
	if err := t.learn(ctx, in); err != nil {
		return nil, unreadable(err)
	}
	comments := make(map[string]string)
	grants, _ := in.Keys()
	for _, g := range grants {
		comments[g.Fingerprint] = g.Comment
	}
	hosts := make([]screen.Host, 0, min(in.Store.Len(), screen.MaxHosts))
	err := in.eachHost(ctx, records.All, func(h records.Host) {
		if len(hosts) < screen.MaxHosts && len(h.Records) > 0 && !h.Name.IsChallenge() {
			hosts = append(hosts, t.row(h, in.seen(h), comments))
		}
	})
	if err != nil {
		return nil, unreadable(err)
	}
	t.hosts, t.made, t.took = hosts, time.Now(), time.Since(began)
	return hosts, nil
}

// learn asks for the changes since it last did.
func (t *hostTable) learn(ctx context.Context, in *Interpreter) error {
	revision := in.Store.Revision()
	if revision == t.known {
		return nil
	}
	changes, err := in.Store.History(ctx, records.All, int(min(8*(revision-min(t.known, revision)), maxChanges)))
	if err != nil {
		return err
	}
	if t.changed == nil || len(t.changed) > 8*maxChanges {
		t.changed = make(map[records.Name]lastChange)
	}
	for i := len(changes) - 1; i >= 0; i-- {
		c := changes[i]
		t.changed[c.Name] = lastChange{c.Time, c.Key, c.Source}
	}
	t.known = revision
	return nil
}

func (t *hostTable) row(h records.Host, seen time.Time, comments map[string]string) screen.Host {
	row := screen.Host{Name: string(h.Name), Addresses: values(h.Records), Seen: seen}
	if h.Session > 0 {
		row.Changed = time.UnixMicro(h.Session)
	}
	if c, ok := t.changed[h.Name]; ok {
		row.Changed, row.Who, row.From = c.at, c.key, c.source
		fingerprint, _, _ := strings.Cut(c.key, ";")
		if comment := comments[fingerprint]; comment != "" {
			row.Who = comment
		}
	}
	return row
}
