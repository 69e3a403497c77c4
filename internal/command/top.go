package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"dnsgate/internal/records"
	"dnsgate/internal/screen"
)

// maxScreens is how many may be open at once, through all doors.
const maxScreens = 4

// screenIdle is how long a screen stays that nobody touches.
const screenIdle = time.Hour

// screens are those that are open.
type screens struct {
	open  atomic.Int32
	hosts hostTable
}

// topVerb is the only command that draws.
const topVerb = "top"

// IsScreen reports whether the request, from a client with a terminal, is a screen. It
// lasts until the person leaves, and the keys typed there are its input.
func (q Request) IsScreen() bool { return len(q.words) == 1 && q.words[0] == topVerb }

// MayHaveTerminal reports whether a client of this session is given one.
func (s *Session) MayHaveTerminal() bool {
	grant, err := s.Grant()
	return err == nil && roleOf(grant)&readers != 0
}

// top runs "top": a live screen, or one snapshot as text if there is no terminal.
func (r *run) top([]string) error {
	from := source{r}
	if r.std.Terminal == nil || !r.std.Terminal.Draws() {
		now, err := from.Now(r.ctx)
		if err != nil {
			return unreadable(err)
		}
		r.out.WriteString(now.Snapshot())
		return nil
	}
	all := &r.interp.screens
	defer func() {
		if all.open.Add(-1) == 0 {
			all.hosts.drop()
		}
	}()
	if all.open.Add(1) > maxScreens {
		return refusal(Abuse, "%d screens are open already; close one of them", maxScreens)
	}
	err := screen.Run(r.ctx, screen.Options{
		Terminal: *r.std.Terminal, In: r.std.In, Out: r.std.Out, Source: from, Idle: screenIdle, Check: r.mayStillLook,
	})
	var bug screen.Bug
	switch {
	case errors.Is(err, screen.ErrIdle):
		fmt.Fprintf(r.out, "nobody touched the screen for %s\n", screenIdle)
		return nil
	case errors.As(err, &bug):
		r.interp.Log.Error("bug: panic", "command", "top", "panic", bug.Panic, "stack", bug.Stack)
		return errBug
	}
	return err
}

// mayStillLook is an error once the key may no longer look, or the gateway stops.
func (r *run) mayStillLook() error {
	if err := r.interp.drain.refusal(); err != nil {
		return err
	}
	grant, err := r.session.Grant()
	if err != nil {
		return noGrant(err)
	}
	if roleOf(grant)&readers == 0 {
		return refusal(NoHost, "this key may not look any more")
	}
	return nil
}

// source is the gateway as a screen sees it.
type source struct{ *run }

func (s source) Now(context.Context) (screen.Now, error) {
	in, now := s.interp, time.Now()
	c := in.Connections()
	grants, _ := in.Keys()
	n := screen.Now{
		Time: now, Started: in.Started, Version: in.Version, Revision: in.Store.Revision(), Hosts: in.Store.Len(), Keys: len(grants),
		Connections: c.Authenticated + c.Unauthenticated, LoggingIn: c.Unauthenticated, Sessions: c.Sessions,
		Accepted: c.Accepted, Refused: c.Refused, Penalized: c.Penalized,
	}
	n.Updates, n.Failures = in.activity.rates(now)
	for _, p := range in.Publishers.Progress() {
		n.Publishers = append(n.Publishers, shownPublisher(p, n.Revision, now))
	}
	n.Publishers = append(n.Publishers, in.shownFollowers(n.Revision)...)
	n.Publishers = append(n.Publishers, in.shownGateways(n.Revision)...)
	for _, e := range in.activity.commands() {
		n.Commands = append(n.Commands, screen.Command{
			Time: e.at, Name: e.verb, Code: string(e.code), Hosts: e.hosts,
			Who: cmp.Or(e.comment, e.key), Source: e.source, Took: e.took,
		})
	}
	for _, p := range c.Penalties {
		n.Penalties = append(n.Penalties, screen.Penalty{Source: p.Source, Until: p.Until, Why: p.Why})
	}
	return n, nil
}

func (s source) Hosts(ctx context.Context) ([]screen.Host, error) {
	return s.interp.screens.hosts.rows(ctx, s.interp)
}

// maxPatternsShown is how many names of a line are shown.
const maxPatternsShown = 5

func (s source) Keys(context.Context) ([]screen.Key, error) {
	grants, _ := s.interp.Keys()
	list := make([]screen.Key, 0, len(grants))
	for _, g := range grants {
		g.Hosts = g.Hosts[:min(len(g.Hosts), maxPatternsShown)]
		used := s.interp.activity.used(g.Fingerprint)
		list = append(list, screen.Key{Fingerprint: g.Fingerprint, Comment: g.Comment, May: mayText(g), Used: used.last, Count: used.count})
	}
	return list, nil
}

func (s source) Host(ctx context.Context, name string) (screen.Detail, error) {
	d := screen.Detail{Name: name}
	names, err := parseHosts([]string{name})
	if err != nil {
		return d, err
	}
	all := withChallenges(names)
	hosts, err := s.interp.Store.Hosts(ctx, all)
	if err != nil {
		return d, unreadable(err)
	}
	var b strings.Builder
	for _, h := range hosts {
		writeHost(&b, h, s.interp.seen(h))
	}
	d.Records = linesOf(b.String())
	grants, _ := s.interp.Keys()
	for _, g := range grants {
		if g.Covers(names[0]) {
			d.Keys = append(d.Keys, strings.TrimSpace(g.Comment+" "+g.Fingerprint)+"; restrictions: "+g.Restrictions())
		}
	}
	changes, err := s.interp.Store.History(ctx, records.Selection{Names: all}, maxHistory)
	if err != nil {
		return d, unreadable(err)
	}
	b.Reset()
	writeChanges(&b, changes)
	d.History = linesOf(b.String())
	return d, nil
}

func linesOf(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

func (s source) MayChange() bool {
	grant, err := s.session.Grant()
	return err == nil && grant.Admin
}

func (s source) Offline(ctx context.Context, name string) error { return s.also(ctx, "offline "+name) }
func (s source) Rebuild(ctx context.Context) error              { return s.also(ctx, "rebuild") }

// also runs a command for the person at the screen. It is authorized, counted and
// logged as any other.
func (s source) also(ctx context.Context, line string) error {
	var out bytes.Buffer
	if status := s.interp.Run(ctx, s.session, Parse(line), Streams{Out: &out, Err: io.Discard}); status != 0 {
		return errors.New(strings.TrimSpace(out.String()))
	}
	return nil
}
