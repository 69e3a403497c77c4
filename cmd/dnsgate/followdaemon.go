//go:build linux && !client

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/command"
	"dnsgate/internal/config"
	"dnsgate/internal/follow"
	"dnsgate/internal/records"
	"dnsgate/internal/records/boltstore"
	"dnsgate/internal/sysexits"

	sd "github.com/coreos/go-systemd/v22/daemon"
	gossh "golang.org/x/crypto/ssh"
)

// leaseGrace is how long a follower goes on publishing a record after its lease: the
// gateway, which ends it, may have renewed it.
const leaseGrace = time.Minute

// followDaemon is a follower: a daemon without a gate and without keys.
type followDaemon struct {
	daemon
	follower *follow.Follower
	whole    chan struct{} // closed once the store has a whole
}

func newFollowDaemon(configFile string, cfg *config.Config, log *slog.Logger) (*followDaemon, error) {
	d := &followDaemon{daemon: daemon{log: log, configFile: configFile, config: cfg}, whole: make(chan struct{})}
	if err := d.open(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *followDaemon) open() error {
	key, names, err := followIdentity(d.config)
	if err != nil {
		return &exit{sysexits.Config, err}
	}
	bolt, err := boltstore.Open(d.config.State, d.log)
	if err != nil {
		return &exit{sysexits.IO, fmt.Errorf("opening the store: %w", err)}
	}
	d.store = bolt
	received := sync.OnceFunc(func() { close(d.whole) })
	if mark, err := bolt.Mark(context.Background()); err != nil {
		return &exit{sysexits.IO, fmt.Errorf("opening the store: %w", err)}
	} else if mark != "" {
		received()
	}
	d.forbid(d.config)
	served := heldStore{records.WithoutEnded(bolt, leaseGrace), d.whole}
	if d.publishers, err = newPublishers(d.config, served, d.log); err != nil {
		return &exit{sysexits.Config, err}
	}
	d.follower = follow.New(follow.Options{
		Gateways: d.config.Follow.Gateways, Names: names, MaxHosts: d.config.Limits.MaxHosts,
		Store: bolt, Log: d.log, Whole: received,
		Run:   follow.Dialer{Key: key, KnownHosts: d.config.Follow.KnownHosts}.Run,
		Reach: d.publishers.Reach, Unserved: d.publishers.Unserved,
	})
	d.commands = &command.Interpreter{
		Store: bolt, Publishers: d.publishers, Rates: command.NewRates(d.config.Limits.UpdatesPerMinute),
		Log: d.log, Version: version(), Started: time.Now(),
		TTL:            func() uint32 { return d.current().TTL },
		IdleTimeout:    func() time.Duration { return d.current().Limits.IdleTimeout },
		PublishTimeout: publishTimeout, Reload: d.reload, Upstream: d.follower.Upstream,
		Keys:        func() ([]authkeys.Grant, []authkeys.Problem) { return nil, nil },
		Connections: func() command.Connections { return command.Connections{} },
	}
	if err := d.listenControl(); err != nil {
		return &exit{sysexits.Config, err}
	}
	return nil
}

// followIdentity reads the key and the names of [follow].
func followIdentity(cfg *config.Config) (gossh.Signer, follow.Names, error) {
	key, err := loadHostKey(cfg.Follow.Key)
	if err != nil {
		return nil, follow.Names{}, err
	}
	if _, err := os.Stat(cfg.Follow.KnownHosts); err != nil {
		return nil, follow.Names{}, fmt.Errorf("%s: %w; put there what \"dnsgate hostkey\" prints on the gateway",
			cfg.Places.Of("follow.known_hosts"), err)
	}
	grant, err := authkeys.ParseFollow(cfg.Follow.Names)
	if err != nil {
		return nil, follow.Names{}, fmt.Errorf("%s: %w", cfg.Places.Of("follow.names"), err)
	}
	return key, follow.NewNames(grant.Hosts, grant.Suffixes), nil
}

// tellReady tells systemd once the whole is served.
func (d *followDaemon) tellReady(ctx context.Context) {
	select {
	case <-d.whole:
	case <-ctx.Done():
		return
	}
	if _, err := d.publishers.Reach(ctx, d.store.Revision()); err == nil {
		d.log.Info("serving", "hosts", d.store.Len(), "revision", d.store.Revision())
		sd.SdNotify(false, sd.SdNotifyReady)
	}
}

// reload reads the configuration again and applies its publishing part.
func (d *followDaemon) reload(context.Context) (restart []string, err error) {
	cfg, err := config.Load(d.configFile)
	if err == nil {
		err = followable(d.configFile, cfg)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		restart = d.keep(cfg)
		err = d.republish(cfg)
	}
	if err != nil {
		d.log.Error("configuration not reloaded, keeping the running one", "error", err)
		return nil, unchanged(err)
	}
	d.adopt(cfg, restart)
	return restart, nil
}

// heldStore tells its followers nothing before the first whole has come: until then the
// name server keeps what it serves.
type heldStore struct {
	records.Store
	whole <-chan struct{}
}

// Follow implements records.Store.
func (h heldStore) Follow(after uint64) records.Follower {
	return &heldFollower{h.whole, h.Store.Follow(after)}
}

type heldFollower struct {
	whole <-chan struct{}
	records.Follower
}

// Next implements records.Follower.
func (h *heldFollower) Next(ctx context.Context) (records.Update, error) {
	select {
	case <-h.whole:
		return h.Follower.Next(ctx)
	case <-ctx.Done():
		return records.Update{}, ctx.Err()
	}
}
