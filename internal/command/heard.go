package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"dnsgate/internal/records"
)

// Heard remembers when hosts were last heard of. Its methods may be called
// concurrently.
type Heard interface {
	// Hear notes authorized updates of names.
	Hear(names []records.Name, now time.Time)
	// Seen is when a host was last heard of.
	Seen(h records.Host) time.Time
}

// hear notes that names were heard of.
func (in *Interpreter) hear(c change) {
	if in.Heard != nil && c.heard && !c.dryRun {
		in.Heard.Hear(c.names, time.Now())
		in.screens.hosts.heard.Add(1)
	}
}

// seen is zero if nothing is remembered, and for names that are no hosts.
func (in *Interpreter) seen(h records.Host) time.Time {
	if in.Heard == nil || h.Name.IsChallenge() || len(h.Records) == 0 {
		return time.Time{}
	}
	return in.Heard.Seen(h).UTC().Truncate(time.Second)
}

// parseSilence reads the value of --silent: Go's syntax, or seconds.
func parseSilence(text string) (time.Duration, error) {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, refusal(BadCommand, "--silent= takes a duration such as 36h, not %q", shown(text))
	}
	return d, nil
}

// maxSilent is how many hosts the metrics show, and silenceAge how old that list may
// be: making it looks at all hosts.
const (
	maxSilent  = 1000
	silenceAge = time.Minute
)

// silence keeps the hosts that have been silent for the longest.
type silence struct {
	mu    sync.Mutex
	taken time.Time
	hosts []silentHost
}

type silentHost struct {
	name records.Name
	seen time.Time
}

// longest are the hosts silent for the longest, those first.
func (s *silence) longest(ctx context.Context, in *Interpreter) ([]silentHost, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.taken) < silenceAge {
		return s.hosts, nil
	}
	var hosts []silentHost
	trim := func() {
		slices.SortFunc(hosts, func(a, b silentHost) int {
			return cmp.Or(a.seen.Compare(b.seen), cmp.Compare(a.name, b.name))
		})
		hosts = hosts[:min(len(hosts), maxSilent)]
	}
	err := in.eachHost(ctx, records.All, func(h records.Host) {
		// Once there are enough, the host at maxSilent-1 bounds those to come.
		if seen := in.seen(h); !seen.IsZero() && (len(hosts) < maxSilent || seen.Before(hosts[maxSilent-1].seen)) {
			if hosts = append(hosts, silentHost{h.Name, seen}); len(hosts) == 2*maxSilent {
				trim()
			}
		}
	})
	if err != nil {
		return nil, err
	}
	trim()
	s.hosts, s.taken = slices.Clone(hosts), time.Now()
	return s.hosts, nil
}

func (in *Interpreter) writeSilence(ctx context.Context, w io.Writer) error {
	if in.Heard == nil {
		return nil
	}
	hosts, err := in.silence.longest(ctx, in)
	if err != nil {
		return err
	}
	family(w, "dnsgate_host_seen_timestamp_seconds", "gauge", "When a host was last heard of, Unix time; of the 1,000 that were not for the longest.")
	for _, h := range hosts {
		fmt.Fprintf(w, "dnsgate_host_seen_timestamp_seconds{host=%q} %d\n", h.name, h.seen.Unix())
	}
	return nil
}

// eachHost passes the selected hosts on by name, a few at a time.
func (in *Interpreter) eachHost(ctx context.Context, of records.Selection, do func(records.Host)) error {
	names, err := in.Store.Find(ctx, of)
	if err != nil {
		return err
	}
	return records.Each(ctx, in.Store, names, do)
}
