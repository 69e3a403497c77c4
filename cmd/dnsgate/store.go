//go:build linux && !client

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/command"
	"dnsgate/internal/config"
	"dnsgate/internal/durable"
	"dnsgate/internal/records"
	"dnsgate/internal/records/boltstore"
	"dnsgate/internal/records/etcdstore"
)

// store is the part of either store that the daemon needs.
type store interface {
	records.Store
	io.Closer
}

// openStore opens the store that cfg names. keys is a digest of the authorized
// keys, for other gateways to compare.
func openStore(ctx context.Context, cfg *config.Config, keys func() string, log *slog.Logger) (store, error) {
	if cfg.Store == config.StoreBolt {
		return opened(boltstore.Open(cfg.State, log))
	}
	if err := durable.MakeFolder(cfg.State, 0o700); err != nil {
		return nil, err
	}
	o := etcdOptions(cfg, log)
	o.Keys = keys
	return opened(etcdstore.Open(ctx, o))
}

// opened returns a nil interface if the store could not be opened.
func opened[S store](s S, err error) (store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func etcdOptions(cfg *config.Config, log *slog.Logger) etcdstore.Options {
	e := cfg.Etcd
	return etcdstore.Options{
		Endpoints: e.Endpoints, Prefix: e.Prefix, CA: e.CA, Cert: e.Cert, Key: e.Key,
		Name: e.Name, Timeout: e.Timeout, State: cfg.State, Version: version(), Log: log,
	}
}

// restoreStore fills the store that cfg names, and returns where it is.
func restoreStore(ctx context.Context, cfg *config.Config, backup io.Reader) (place string, err error) {
	if cfg.Store == config.StoreBolt {
		return cfg.State, boltstore.Restore(cfg.State, backup)
	}
	return "etcd " + cfg.Etcd.Prefix, etcdstore.Restore(ctx, etcdOptions(cfg, slog.New(slog.DiscardHandler)), backup)
}

// checkStore says why a gateway could not open the store.
func checkStore(ctx context.Context, cfg *config.Config) error {
	if cfg.Store == config.StoreBolt {
		return boltstore.Check(cfg.State)
	}
	return etcdstore.Check(ctx, etcdOptions(cfg, slog.New(slog.DiscardHandler)))
}

// endLeases removes records whose lease has ended. Of several gateways one does so for
// all.
func endLeases(ctx context.Context, s store) {
	if shared, ok := s.(*etcdstore.Store); ok {
		shared.Keep(ctx)
		return
	}
	records.EndLeases(ctx, s)
}

// sharedBy describes the gateways that share s, or is nil if s is this gateway's own.
func sharedBy(s store) func() *command.Shared {
	etcd, ok := s.(*etcdstore.Store)
	if !ok {
		return nil
	}
	return func() *command.Shared {
		all := &command.Shared{Node: etcd.Node(), Gateways: []command.Peer{}, Damaged: etcd.Damaged()}
		for _, g := range etcd.Gateways() {
			all.Gateways = append(all.Gateways, command.Peer{
				Name: g.Name, Here: g.Here, Version: g.Version, Revision: g.Revision, Clock: g.Clock.Seconds(), Keys: g.Keys, Roles: g.Roles,
			})
		}
		return all
	}
}

// digest is the same for the same keys with the same grants, in any order.
func digest(grants []authkeys.Grant) string {
	var lines []string
	for _, g := range grants {
		lines = append(lines, fmt.Sprint(g.Fingerprint, g.Admin, g.Monitor, g.Patterns(), g.Restrictions(), "\n"))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:6])
}
