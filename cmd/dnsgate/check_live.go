//go:build linux && !client

package main

import (
	"context"
	"fmt"
	"log/slog"

	"dnsgate/internal/config"
	"dnsgate/internal/publish/datafile"
	"dnsgate/internal/records/etcdstore"
)

// checkLive asks each node of etcd, and asks every name server of cfg whether it has
// its zone. tinydns is the zones of [tinydns], nil if they are not known. Nothing is
// changed.
func checkLive(ctx context.Context, cfg *config.Config, tinydns *datafile.Zones, tell func(any), warn func(string)) {
	for i, z := range cfg.RFC2136 {
		target, err := newRFC2136(cfg, i, nil, nil)
		if err != nil {
			continue // reported already
		}
		if err := target.Live(ctx); err != nil {
			tell(fmt.Errorf("%s: zone %s: %w", cfg.Places.Of(fmt.Sprintf("rfc2136[%d]", i)), z.Zone, err))
		}
		target.Close()
	}
	if cfg.Store == config.StoreEtcd {
		for _, err := range etcdstore.Live(etcdOptions(cfg, slog.New(slog.DiscardHandler))) {
			tell(fmt.Errorf("%s: %w", cfg.Places.Of("etcd.endpoints"), err))
		}
	}
	t := cfg.TinyDNS
	if t == nil || t.Verify == "" && len(t.Notify) == 0 {
		return
	}
	if tinydns == nil {
		warn("warning: the zones of tinydns are not known, so the servers of verify and notify were not asked for them")
		return
	}
	ask := func(place, server string) {
		for _, err := range tinydns.Live(ctx, server) {
			tell(fmt.Errorf("%s: %w", cfg.Places.Of(place), err))
		}
	}
	if t.Verify != "" {
		ask("tinydns.verify", t.Verify)
	}
	for i, server := range t.Notify {
		ask(fmt.Sprintf("tinydns.notify[%d]", i), server)
	}
}
