package records

import (
	"context"
	"slices"
)

// Follower sees a consistent picture of the store, then every later state, in
// the order of revisions. It belongs to one goroutine, and needs no closing.
type Follower interface {
	// Next blocks until there is something new or ctx ends.
	Next(ctx context.Context) (Update, error)
}

// Update is a piece of a follower's news. Pieces that belong together end with one that
// has nothing Left; only then are all the hosts as they are at its Revision, with no
// transaction in part.
type Update struct {
	Whole    bool   // a picture begins: hosts that are not in it are not in the store
	Hosts    []Host // in no order; a later piece may have a newer state of the same host
	Left     int    // at least 1 while pieces are to come; at most this many hosts are in them
	Revision uint64 // reached when nothing is Left; before that, every host that comes twice has a later one
}

// Collect joins the pieces of f until nothing is left: each host once. After an error
// some of it is lost, and f is of no further use.
func Collect(ctx context.Context, f Follower) (Update, error) {
	var all Update
	var changed map[Name]int // the place of each host that may come twice
	for began := true; ; began = false {
		u, err := f.Next(ctx)
		if err != nil {
			return Update{}, err
		}
		if began || u.Whole {
			if u.Left == 0 {
				return u, nil
			}
			all = Update{Whole: u.Whole, Revision: u.Revision}
			changed = make(map[Name]int)
			if u.Whole {
				all.Hosts = make([]Host, 0, len(u.Hosts)+u.Left)
			}
		}
		for _, h := range u.Hosts {
			if h.Revision > all.Revision {
				if at, again := changed[h.Name]; again {
					all.Hosts[at] = h
					continue
				}
				changed[h.Name] = len(all.Hosts)
			}
			all.Hosts = append(all.Hosts, h)
		}
		if u.Left == 0 {
			all.Hosts = slices.DeleteFunc(all.Hosts, func(h Host) bool {
				_, again := changed[h.Name]
				return again && h.Revision <= all.Revision
			})
			all.Revision = u.Revision
			return all, nil
		}
	}
}
