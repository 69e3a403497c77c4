package follow

import (
	"context"
	"fmt"
	"time"

	"dnsgate/internal/records"
)

// changedBy stands in the history for what a whole lacks.
const changedBy = "follow"

// applier keeps groups in the store: those that wait, in one transaction, unless
// they have a host in common, whose history would be lost.
type applier struct {
	follower *Follower
	acks     *acks
	groups   chan *group
	mark     string // in the store
	left     *group // taken, and not merged
}

func (a *applier) run(ctx context.Context) error {
	for {
		g := a.left
		a.left = nil
		if g == nil {
			select {
			case g = <-a.groups:
			case <-ctx.Done():
				return nil
			}
		}
		told := a.gather(g)
		if err := a.apply(ctx, g); err != nil {
			return fmt.Errorf("storing what came: %w", err)
		}
		a.acks.stored(told, g, a.follower.o.Store.Revision())
	}
}

// gather adds the groups that wait to g, and returns all their revisions.
func (a *applier) gather(g *group) (revisions []uint64) {
	revisions = []uint64{g.revision}
	for {
		select {
		case next := <-a.groups:
			if !g.add(next) {
				a.left = next
				return revisions
			}
			revisions = append(revisions, next.revision)
		default:
			return revisions
		}
	}
}

// add appends next, unless they have a host in common or one is a whole.
func (g *group) add(next *group) bool {
	if g.whole || next.whole {
		return false
	}
	for name := range next.place {
		if _, twice := g.place[name]; twice {
			return false
		}
	}
	for i, h := range next.hosts {
		g.place[h.Name] = len(g.hosts)
		g.hosts, g.causes = append(g.hosts, h), append(g.causes, next.causes[i])
	}
	g.revision, g.at = next.revision, next.at
	return true
}

// apply stores g, and where the gateway was, in one transaction.
func (a *applier) apply(ctx context.Context, g *group) error {
	store := a.follower.o.Store
	if g.revision == 0 && !g.whole { // it waits in line for the whole
		return nil
	}
	mark := fmt.Sprintf("%s %d", g.store, g.revision)
	if len(g.hosts) == 0 && !g.whole && mark == a.mark {
		return nil
	}
	if g.whole {
		if err := a.leave(ctx, g); err != nil {
			return err
		}
	}
	names := make([]records.Name, len(g.hosts))
	for i, h := range g.hosts {
		names[i] = h.Name
	}
	was, err := store.Hosts(ctx, names)
	if err != nil {
		return err
	}
	for i := range g.hosts {
		g.hosts[i].Revision = was[i].Revision
	}
	t := records.Txn{Cause: records.Cause{Time: time.Now(), Key: changedBy, Source: "-"}, Hosts: g.hosts, Causes: g.causes, Mark: mark}
	if _, err := store.Commit(ctx, t); err != nil {
		return err
	}
	a.mark = mark
	a.follower.o.Whole()
	return nil
}

// leave adds the hosts that a whole lacks, without records.
func (a *applier) leave(ctx context.Context, g *group) error {
	names, err := a.follower.o.Store.Find(ctx, records.All)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, stays := g.place[name]; !stays {
			g.hosts = append(g.hosts, records.Host{Name: name})
			g.causes = append(g.causes, records.Cause{Time: time.Now(), Key: changedBy, Source: "-"})
		}
	}
	return nil
}
