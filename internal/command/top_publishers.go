package command

import (
	"cmp"
	"fmt"
	"time"

	"dnsgate/internal/plain"
	"dnsgate/internal/records"
	"dnsgate/internal/screen"
)

func shownPublisher(p records.Progress, revision uint64, now time.Time) screen.Publisher {
	shown := screen.Publisher{
		Name: p.Name, Revision: p.Revision, Behind: revision - min(revision, p.Revision), Pending: p.Pending,
		Error: oneLine(plain.Short(p.LastError, 500)),
	}
	if !p.PendingSince.IsZero() {
		shown.Lag = now.Sub(p.PendingSince)
	}
	for _, e := range p.Errands {
		if e.LastError != "" && shown.Error == "" {
			shown.Error = e.Name + ": " + oneLine(plain.Short(e.LastError, 500))
		}
	}
	return shown
}

// shownFollowers are the followers of this gateway, and the gateway of this follower.
func (in *Interpreter) shownFollowers(revision uint64) (list []screen.Publisher) {
	for _, f := range in.followers() {
		shown := screen.Publisher{
			Name: "follower " + cmp.Or(f.Comment, f.Key), Revision: f.Revision, Behind: revision - min(revision, f.Revision),
			Lag: time.Duration(f.Lag * float64(time.Second)),
		}
		switch {
		case !f.Gone.IsZero():
			shown.Error = "gone since " + f.Gone.Format(time.TimeOnly) + ": " + oneLine(f.Why)
		case f.Receiving:
			shown.Error = "receives the whole, or waits for its turn"
		case f.Refused > 0:
			shown.Error = fmt.Sprintf("its name server refuses %d hosts", f.Refused)
		}
		list = append(list, shown)
	}
	if g := in.upstream(); g != nil {
		why := oneLine(g.LastError)
		if !g.Connected {
			why = cmp.Or(why, "not connected")
		}
		list = append(list, screen.Publisher{Name: "gateway " + g.Address, Revision: g.Revision, Lag: -1, Error: why})
	}
	return list
}

// shownGateways are the other gateways that share the store, and etcd if no node answers.
func (in *Interpreter) shownGateways(revision uint64) (list []screen.Publisher) {
	if in.Shared == nil {
		return nil
	}
	shared := in.Shared()
	if shared == nil {
		return nil
	}
	if shared.Node == "" {
		list = append(list, screen.Publisher{Name: "etcd", Revision: revision, Lag: -1, Error: "no node answers; updates are 911"})
	}
	keys := ""
	for _, p := range shared.Gateways {
		if p.Here {
			keys = p.Keys
		}
	}
	for _, p := range shared.Gateways {
		if p.Here {
			continue
		}
		shown := screen.Publisher{Name: "gateway " + p.Name, Revision: p.Revision, Behind: revision - min(revision, p.Revision), Lag: -1}
		switch {
		case p.Keys != keys:
			shown.Error = "has other authorized keys"
		case p.Clock > maxClock || p.Clock < -maxClock:
			shown.Error = fmt.Sprintf("its clock differs by %.1f s", p.Clock)
		}
		list = append(list, shown)
	}
	return list
}
