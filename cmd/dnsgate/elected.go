//go:build linux && !client

package main

import (
	"context"
	"encoding/json"
	"strings"

	"dnsgate/internal/config"
	"dnsgate/internal/publish"
	"dnsgate/internal/records/etcdstore"
)

// newRFC2136 makes the target of cfg.RFC2136[i]. Of several gateways that share
// a store, one sends to it.
func (p *publishers) newRFC2136(ctx context.Context, cfg *config.Config, i int) (publish.Target, error) {
	etcd, several := p.store.(*etcdstore.Store)
	if !several {
		return newRFC2136(cfg, i, p.log, nil)
	}
	z := cfg.RFC2136[i]
	notes := etcd.Notes(ctx, "rfc2136 "+z.Zone+" at "+z.Server)
	target, err := newRFC2136(cfg, i, p.log, notes.Lasts)
	if err != nil {
		return nil, err
	}
	return publish.NewElected(target, election{notes, cfg.Etcd.Name}, func() publish.Source { return p.store.Follow(0) }), nil
}

// election is publish's view of etcd's notes.
type election struct {
	*etcdstore.Notes
	name string
}

// Tell implements publish.Election.
func (e election) Tell(ctx context.Context, r publish.Report) error {
	r.Sender = e.name
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return e.Write(ctx, text)
}

// Told implements publish.Election. A note that is no report tells nothing.
func (e election) Told() (r publish.Report, overruns uint64, news <-chan struct{}) {
	text, overruns, news := e.Last()
	if json.Unmarshal(text, &r) != nil {
		r = publish.Report{}
	}
	r.Sender, r.Failure = printable(r.Sender), printable(r.Failure)
	for name, why := range r.Refused {
		r.Refused[name] = printable(why)
	}
	return r, overruns, news
}

// printable is text without what could steer a terminal.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, text)
}
