package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"dnsgate/internal/follow"
)

// follow runs "follow [STORE REVISION]": it stays until the follower hangs up, may
// not go on, or the gateway stops.
func (r *run) follow(words []string) error {
	if r.interp.Followers == nil {
		return refusal(Outage, "this gateway serves no followers")
	}
	f := follow.Session{
		Grant: r.grant, Regrant: r.session.Grant, Source: r.session.place(),
		In: r.std.In, Out: bufio.NewWriterSize(r.std.Out, 64<<10), Stopping: r.interp.drain.stopping(),
	}
	switch len(words) {
	case 0:
	case 2:
		revision, err := strconv.ParseUint(words[1], 10, 64)
		if err != nil {
			return refusal(BadCommand, "%q is not a revision", shown(words[1]))
		}
		f.Store, f.Revision = words[0], revision
	default:
		return refusal(BadCommand, "usage: follow, or follow STORE REVISION, both as last received")
	}
	if r.interp.IdleTimeout != nil {
		f.Patience = r.interp.IdleTimeout()
	}
	return followEnd(r.interp.Followers.Serve(r.ctx, f))
}

// followEnd is the refusal that says why a stream ended.
func followEnd(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, follow.ErrStopping):
		return refusal(Outage, "the gateway is stopping; try again in a minute")
	case errors.Is(err, follow.ErrGrant), errors.Is(err, follow.ErrNames):
		return refusal(NoHost, "%v", err)
	case errors.Is(err, follow.ErrWords):
		return refusal(BadCommand, "%v", err)
	case errors.Is(err, follow.ErrRoom), errors.Is(err, follow.ErrReplaced), errors.Is(err, follow.ErrUnread):
		return refusal(Abuse, "%v", err)
	}
	return inside(Outage, err, "the stream ended; connect again")
}

// Follower is follow.Status in words of JSON.
type Follower struct {
	Key       string    `json:"key"`
	Comment   string    `json:"comment"`
	Source    string    `json:"source"`
	Since     time.Time `json:"since"`
	Revision  uint64    `json:"revision"` // that it serves
	Refused   int       `json:"refused"`  // hosts that its name server does not take
	Lag       float64   `json:"lag_seconds"`
	Receiving bool      `json:"receiving"` // the whole, or it waits for that
	Gone      time.Time `json:"gone,omitzero"`
	Why       string    `json:"why,omitempty"` // it is gone
}

func (in *Interpreter) followers() (list []Follower) {
	if in.Followers == nil {
		return nil
	}
	for _, f := range in.Followers.Followers() {
		list = append(list, Follower{
			Key: f.Key, Comment: f.Comment, Source: f.Source, Since: f.Since.UTC().Truncate(time.Second),
			Revision: f.Reached, Refused: f.Refused, Lag: f.Lag.Seconds(), Receiving: f.Receiving, Gone: f.Gone.UTC().Truncate(time.Second), Why: f.Why,
		})
	}
	return list
}

// Upstream is follow.Upstream in words of JSON.
type Upstream struct {
	Address   string    `json:"address"` // connected to now, or last
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"`
	Revision  uint64    `json:"revision"` // of the gateway, as last received
	LastError string    `json:"last_error,omitempty"`
}

func (in *Interpreter) upstream() *Upstream {
	if in.Upstream == nil {
		return nil
	}
	u := in.Upstream()
	return &Upstream{u.Address, u.Connected, u.Since.UTC().Truncate(time.Second), u.Revision, u.LastError}
}

func writeFollowing(w io.Writer, st Status) {
	for _, f := range st.Followers {
		fmt.Fprintf(w, "follower %s %q from %s: revision %d, lag %.1f s, ", f.Key, f.Comment, f.Source, f.Revision, f.Lag)
		switch {
		case !f.Gone.IsZero():
			fmt.Fprintf(w, "gone since %s: %s\n", f.Gone.Format(time.RFC3339), oneLine(f.Why))
		case f.Receiving:
			fmt.Fprintf(w, "receiving the whole, since %s\n", f.Since.Format(time.RFC3339))
		default:
			fmt.Fprintf(w, "%d hosts refused, since %s\n", f.Refused, f.Since.Format(time.RFC3339))
		}
	}
	if g := st.Gateway; g != nil {
		state := "not connected"
		if g.Connected {
			state = "connected"
		}
		fmt.Fprintf(w, "gateway %s: %s since %s, revision %d\n", g.Address, state, g.Since.Format(time.RFC3339), g.Revision)
		if g.LastError != "" {
			fmt.Fprintf(w, "  last error: %s\n", oneLine(g.LastError))
		}
	}
}

func writeFollowMetrics(w io.Writer, st Status) {
	gauges := []struct {
		name, help string
		value      func(f Follower) any
	}{
		{"dnsgate_follower_up", "Whether the follower is connected.", func(f Follower) any { return bit(f.Gone.IsZero()) }},
		{"dnsgate_follower_revision", "Revision that the follower serves.", func(f Follower) any { return f.Revision }},
		{"dnsgate_follower_refused", "Hosts that the follower's name server does not take.", func(f Follower) any { return f.Refused }},
		{"dnsgate_follower_lag_seconds", "Age of the oldest change that the follower does not serve yet.", func(f Follower) any { return f.Lag }},
		{"dnsgate_follower_since_seconds", "When the follower connected, Unix time.", func(f Follower) any { return f.Since.Unix() }},
	}
	for _, m := range gauges {
		if len(st.Followers) == 0 {
			break
		}
		family(w, m.name, "gauge", m.help)
		twice := make(map[string]bool)
		for _, f := range st.Followers {
			labels := fmt.Sprintf("key=%q,comment=%q,source=%q", f.Key, f.Comment, f.Source)
			if !twice[labels] {
				twice[labels] = true
				fmt.Fprintf(w, "%s{%s} %v\n", m.name, labels, m.value(f))
			}
		}
	}
	if g := st.Gateway; g != nil {
		family(w, "dnsgate_gateway_up", "gauge", "Whether the gateway that is followed is connected.")
		fmt.Fprintf(w, "dnsgate_gateway_up %d\n", bit(g.Connected))
		family(w, "dnsgate_gateway_revision", "gauge", "Revision of the gateway, as last received.")
		fmt.Fprintf(w, "dnsgate_gateway_revision %d\n", g.Revision)
	}
}

func bit(is bool) int {
	if is {
		return 1
	}
	return 0
}
