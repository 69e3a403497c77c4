package follow

import (
	"context"
	"fmt"
	"time"

	"dnsgate/internal/records"
)

// changedBy is the author of a whole's changes in the history.
const changedBy = "follow"

// applier keeps groups in the store. It stores all waiting groups in one transaction,
// unless they share a host, whose history would be lost.
type applier struct {
	follower *Follower
	acks     *acks
	groups   chan *group
	mark     string          // as it is in the store
	left     *group          // taken from groups, and not merged
	picture  records.Picture // the pieces of a whole so far
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
		err := a.apply(ctx, g)
		if g.more && err == nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("storing what came: %w", err)
		}
		a.acks.stored(told, g, a.follower.o.Store.Revision())
	}
}

// gather adds the waiting groups to g, and returns the revisions of all.
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

// add appends next, unless they share a host or one of them is a whole.
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

// apply stores g and the gateway's revision in one transaction.
func (a *applier) apply(ctx context.Context, g *group) error {
	if g.whole {
		if err := a.collect(g); err != nil || g.more {
			return err
		}
	}
	if g.revision == 0 && !g.whole { // it waits in line for the whole
		return nil
	}
	mark := fmt.Sprintf("%s %d", g.store, g.revision)
	if len(g.hosts) == 0 && !g.whole && mark == a.mark {
		return nil
	}
	store, by := a.follower.o.Store, records.Cause{Time: time.Now(), Key: changedBy, Source: "-"}
	var err error
	if g.whole {
		_, err = store.Replace(ctx, a.picture, by, mark)
		a.picture = nil
	} else {
		err = a.change(ctx, g, by, mark)
	}
	if err != nil {
		return err
	}
	a.mark = mark
	a.follower.o.Whole()
	return nil
}

// collect adds a piece of a whole to the picture.
func (a *applier) collect(g *group) error {
	if g.first {
		a.picture = a.follower.o.Store.NewPicture()
	}
	for _, h := range g.hosts {
		a.picture.Put(h)
	}
	return room(a.picture.Len(), a.follower.o.MaxHosts)
}

// change stores the hosts of g, whatever their state was.
func (a *applier) change(ctx context.Context, g *group, by records.Cause, mark string) error {
	names := make([]records.Name, len(g.hosts))
	for i, h := range g.hosts {
		names[i] = h.Name
	}
	was, err := a.follower.o.Store.Hosts(ctx, names)
	if err != nil {
		return err
	}
	more := 0 // hosts with records
	for i := range g.hosts {
		g.hosts[i].Revision = was[i].Revision
		if len(g.hosts[i].Records) > 0 {
			more++
		}
		if len(was[i].Records) > 0 {
			more--
		}
	}
	if more > 0 {
		if err := room(a.follower.o.Store.Len()+more, a.follower.o.MaxHosts); err != nil {
			return err
		}
	}
	_, err = a.follower.o.Store.Commit(ctx, records.Txn{Cause: by, Hosts: g.hosts, Causes: g.causes, Mark: mark})
	return err
}
