package datafile

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// afterTimeout is how long the command After may take. Only its next run waits for it.
const afterTimeout = 10 * time.Minute

// afterwards is the work after data.cdb was replaced.
type afterwards struct {
	database    string // its path
	after       *publish.Errand
	secondaries []*secondary
	log         *slog.Logger

	last durable.Stamp // of the database that the errands were told of

	stop    context.CancelFunc
	running sync.WaitGroup
}

func newAfterwards(o Options) *afterwards {
	a := &afterwards{database: filepath.Join(o.Root, database), log: o.Logger}
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	if len(o.After) > 0 {
		c := command{what: "after", root: o.Root, argv: o.After, timeout: afterTimeout, log: o.Logger}
		a.after = publish.NewErrand("after "+o.After[0], o.Logger, c.run)
		a.running.Go(func() { a.after.Loop(ctx) })
	}
	for _, server := range o.Notify {
		s := newSecondary(server, o)
		a.secondaries = append(a.secondaries, s)
		a.running.Go(func() { s.Loop(ctx) })
	}
	return a
}

// published starts the errands, if data.cdb is another now. hosts are the changed ones;
// if whole is set, or hosts is empty, any zone may have changed.
func (a *afterwards) published(hosts []records.Host, whole bool, cuts func() (*tinydns.Cuts, error)) {
	if a.after == nil && len(a.secondaries) == 0 {
		return
	}
	now, err := durable.StampAt(a.database)
	if err != nil || now == a.last {
		return // a command makes it elsewhere, or it is not new
	}
	a.last = now
	if a.after != nil {
		a.after.Want()
	}
	if len(a.secondaries) == 0 {
		return
	}
	known, err := cuts()
	if err != nil {
		a.log.Error("secondaries are not notified: the zones are not known", "error", err)
		return
	}
	var zones []string
	if whole || len(hosts) == 0 {
		zones = known.Zones(time.Now())
	} else {
		zones = zonesOf(hosts, known)
	}
	for _, s := range a.secondaries {
		s.changed(zones)
	}
}

func zonesOf(hosts []records.Host, known *tinydns.Cuts) (zones []string) {
	now := time.Now()
	for _, h := range hosts {
		if zone, ok := known.Zone(string(h.Name), now); ok && !slices.Contains(zones, zone) {
			zones = append(zones, zone)
		}
	}
	return zones
}

func (a *afterwards) states() (all []records.Errand) {
	if a.after != nil {
		all = append(all, a.after.State())
	}
	for _, s := range a.secondaries {
		all = append(all, s.State())
	}
	return all
}

// close ends all errands, and a command that runs.
func (a *afterwards) close() {
	a.stop()
	a.running.Wait()
}

// Errands implements publish.Errander.
func (t *Target) Errands() []records.Errand { return t.afterwards.states() }
