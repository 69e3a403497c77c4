package command

import (
	"context"
	"slices"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records"
)

// room is an error if there are too many names for one more that a pattern
// covers, in all or of this key. Names without records do not count, and are
// forgotten when they are in the way. The names that a key's line spells out can
// always be had: there are no more of them than the operator wrote. maker is
// who made the name, if a pattern did.
func (in *Interpreter) room(ctx context.Context, grant authkeys.Grant, old records.Host) (maker uint64, err error) {
	if slices.Contains(grant.Hosts, old.Name) || slices.Contains(grant.Hosts, old.Name.Host()) {
		return 0, nil
	}
	maker = records.Maker(grant.Fingerprint)
	if in.MaxKeyHosts != nil {
		if most := in.MaxKeyHosts(); in.Store.Made(maker) >= most {
			return 0, refusal(Outage, "%s would be a new name, and this key's patterns have made as many as they may, %d; take some offline, or the operator can raise max_hosts_per_key", old.Name, most)
		}
	}
	if in.MaxHosts == nil {
		return maker, nil
	}
	most := in.MaxHosts()
	if old.Revision == 0 && in.Store.Names() >= most {
		if err := in.forget(ctx); err != nil {
			return 0, err
		}
	}
	if in.Store.Len() >= most || old.Revision == 0 && in.Store.Names() >= most {
		return 0, refusal(Outage, "%s would be a new name, and the gateway has as many as it may, %d; its operator can raise max_hosts", old.Name, most)
	}
	return maker, nil
}

// forget has the store forget names without records that no publisher has to
// take away any more.
func (in *Interpreter) forget(ctx context.Context) error {
	reached := in.Store.Revision()
	for _, p := range in.Publishers.Progress() {
		if p.Failed > 0 {
			return nil // one of them may be such a name
		}
		reached = min(reached, p.Revision)
	}
	if reached == 0 {
		return nil
	}
	if err := in.Store.Forget(ctx, reached); err != nil {
		return inside(Outage, err, "nothing was stored; try again later")
	}
	return nil
}
