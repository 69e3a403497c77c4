package command

import (
	"context"
	"slices"
	"sync"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records"
)

// rooms counts the new names of changes under way, which the store does not count yet.
type rooms struct {
	mu  sync.Mutex
	all int
	by  map[uint64]int // by MadeBy
}

// reservation is the share of one change: names made by one key's patterns.
type reservation struct {
	maker uint64
	names int
}

func (r *rooms) release(of reservation) {
	if of.names == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all -= of.names
	if r.by[of.maker] -= of.names; r.by[of.maker] == 0 {
		delete(r.by, of.maker)
	}
}

// room reserves a place for one more name that a pattern covers. It is an error if
// there are too many names, in all or of this key. Names without records do not count,
// and are forgotten when they take up room. Names that a key's line spells out are
// always allowed: there are no more of them than the operator wrote. maker is the maker
// of the name, if a pattern made it.
func (in *Interpreter) room(ctx context.Context, grant authkeys.Grant, old records.Host, reserved *reservation) (maker uint64, err error) {
	if slices.Contains(grant.Hosts, old.Name) || slices.Contains(grant.Hosts, old.Name.Host()) {
		return 0, nil
	}
	maker = records.Maker(grant.Fingerprint)
	in.rooms.mu.Lock()
	defer in.rooms.mu.Unlock()
	if in.MaxKeyHosts != nil {
		if most := in.MaxKeyHosts(); in.Store.Made(maker)+in.rooms.by[maker] >= most {
			return 0, refusal(Outage, "%s would be a new name, and this key's patterns have made as many as they may, %d; take some offline, or the operator can raise max_hosts_per_key", old.Name, most)
		}
	}
	if in.MaxHosts != nil {
		most := in.MaxHosts() - in.rooms.all
		if old.Revision == 0 && in.Store.Names() >= most {
			if err := in.forget(ctx); err != nil {
				return 0, err
			}
		}
		if in.Store.Len() >= most || old.Revision == 0 && in.Store.Names() >= most {
			return 0, refusal(Outage, "%s would be a new name, and the gateway has as many as it may, %d; its operator can raise max_hosts", old.Name, in.MaxHosts())
		}
	}
	if in.rooms.by == nil {
		in.rooms.by = make(map[uint64]int)
	}
	in.rooms.all++
	in.rooms.by[maker]++
	reserved.maker, reserved.names = maker, reserved.names+1
	return maker, nil
}

// forget makes the store forget names without records that no publisher still has to
// remove.
func (in *Interpreter) forget(ctx context.Context) error {
	reached := in.Store.Revision()
	for _, p := range in.Publishers.Progress() {
		reached = min(reached, p.Revision)
		if p.Kept > 0 { // a publisher still has to remove that name
			reached = min(reached, p.Kept-1)
		}
	}
	if reached == 0 {
		return nil
	}
	if err := in.Store.Forget(ctx, reached); err != nil {
		return inside(Outage, err, "nothing was stored; try again later")
	}
	return nil
}
