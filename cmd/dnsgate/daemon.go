//go:build linux && !client

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/command"
	"dnsgate/internal/config"
	"dnsgate/internal/confine"
	"dnsgate/internal/control"
	"dnsgate/internal/durable"
	"dnsgate/internal/follow"
	"dnsgate/internal/gate"
	"dnsgate/internal/heard"
	"dnsgate/internal/records"
	"dnsgate/internal/sysexits"

	sd "github.com/coreos/go-systemd/v22/daemon"
	gossh "golang.org/x/crypto/ssh"
)

// publishTimeout is how long a command waits for the publishers, beyond what
// the slowest of them allows itself.
const publishTimeout = 15 * time.Second

// drainTimeout is how long commands may take to end when the gateway stops. A
// publisher may take 4 s more for its last round, and all of it 10 s.
const drainTimeout = 4 * time.Second

// daemon is a gateway: what serve and quickstart run.
type daemon struct {
	log        *slog.Logger
	configFile string
	keys       *authkeys.File
	guard      authkeys.Guard // of keys
	store      store
	leases     func() // stops what ends them
	publishers *publishers
	gate       *gate.Gate
	commands   *command.Interpreter
	control    *control.Server
	heard      *heard.Book
	remember   func() // ends the keeping of heard

	confined *confine.Applied // nil: it is not

	mu     sync.Mutex // one reload at a time, and for config
	config *config.Config
}

// newDaemon opens everything that cfg, read from configFile, names. Close ends
// it.
func newDaemon(configFile string, cfg *config.Config, log *slog.Logger) (*daemon, error) {
	d := &daemon{log: log, configFile: configFile, config: cfg}
	if err := d.open(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *daemon) open() error {
	hostKeys, err := loadHostKeys(d.config.HostKeys)
	if err != nil {
		return &exit{sysexits.Config, err}
	}
	for _, text := range idleHostKeys(d.config, hostKeys) {
		d.log.Info("host key only announced", "why", text)
	}
	if d.keys, err = authkeys.Open(d.config.AuthorizedKeys, d.log); err != nil {
		return &exit{sysexits.Config, err}
	}
	revoked, err := d.openRevoked(d.config.RevokedKeys)
	if err != nil {
		return &exit{sysexits.Config, err}
	}
	d.useRevoked(revoked)
	d.guard.Keys = d.keys
	if d.store, err = openStore(context.Background(), d.config, func() string { return digest(d.keys.Set().Grants()) }, d.log); err != nil {
		return &exit{sysexits.IO, fmt.Errorf("opening the store: %w", err)}
	}
	d.leases = inBackground(func(ctx context.Context) { endLeases(ctx, d.store) })
	d.forbid(d.config)
	if d.publishers, err = newPublishers(d.config, d.store, d.log); err != nil {
		return &exit{sysexits.Config, err}
	}
	d.remembers()
	id, err := storeID(d.store)
	if err != nil {
		return &exit{sysexits.IO, fmt.Errorf("opening the store: %w", err)}
	}
	if err := d.assemble(hostKeys, id); err != nil {
		return &exit{sysexits.Config, err}
	}
	if err := d.listenControl(); err != nil {
		return &exit{sysexits.Config, err}
	}
	return nil
}

// remembers starts keeping when hosts were heard of. If the old file cannot be read, a
// new one begins: only those times are lost.
func (d *daemon) remembers() {
	book, err := heard.Open(filepath.Join(d.config.State, heard.File), time.Now())
	if err != nil {
		d.log.Error("when hosts were heard of is not known from before", "error", err)
	}
	names := func(ctx context.Context) ([]records.Name, error) { return d.store.Find(ctx, records.All) }
	d.heard = book
	d.remember = inBackground(func(ctx context.Context) { book.Keep(ctx, names, d.log) })
}

// inBackground runs f, and returns what stops it and waits for its end.
func inBackground(f func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { f(ctx) })
	return func() { cancel(); all.Wait() }
}

// forbid keeps publishing from replacing what is the gateway's own.
func (d *daemon) forbid(cfg *config.Config) {
	own := append(slices.Clone(cfg.HostKeys), d.configFile, cfg.AuthorizedKeys, cfg.State)
	if cfg.RevokedKeys != "" {
		own = append(own, cfg.RevokedKeys)
	}
	if cfg.Follow != nil {
		own = append(own, cfg.Follow.Key, cfg.Follow.KnownHosts)
	}
	for _, zone := range cfg.RFC2136 {
		if zone.TSIGSecret != "" {
			own = append(own, zone.TSIGSecret)
		}
	}
	durable.Forbid(own...)
}

func (d *daemon) assemble(hostKeys []gossh.Signer, id string) (err error) {
	followers := follow.NewServer(d.store, id, d.log)
	d.commands = &command.Interpreter{
		Followers:      followers,
		Store:          d.store,
		Shared:         sharedBy(d.store),
		Publishers:     requiring{d.publishers, followers, func() config.Followers { return d.current().Followers }},
		Rates:          command.NewRates(d.config.Limits.UpdatesPerMinute),
		Log:            d.log,
		Version:        version(),
		Started:        time.Now(),
		TTL:            func() uint32 { return d.current().TTL },
		MaxHosts:       func() int { return d.current().Limits.MaxHosts },
		MaxKeyHosts:    func() int { return d.current().Limits.MaxHostsPerKey },
		Fits:           d.publishers.fits,
		IdleTimeout:    func() time.Duration { return d.current().Limits.IdleTimeout },
		PublishTimeout: publishTimeout,
		Reload:         d.reload,
		Keys: func() ([]authkeys.Grant, []authkeys.Problem) {
			return d.keys.Set().Grants(), d.keys.Problems()
		},
		KeysFailure: d.keysFailure,
		Heard:       d.heard,
	}
	d.gate, err = gate.New(gate.Options{
		HostKeys: hostKeys,
		Keys:     &d.guard,
		Commands: d.commands,
		Limits:   gateLimits(d.config.Limits),
		Log:      d.log,

		PostQuantumOnly: d.config.PostQuantumOnly,
	})
	if err == nil {
		d.commands.Connections = d.gate.Connections
	}
	return err
}

func gateLimits(l config.Limits) gate.Limits {
	return gate.Limits{
		LoginGraceTime:    l.LoginGraceTime,
		MaxStartups:       l.MaxStartups,
		PerSourceStartups: l.PerSourceStartups,
		MaxAuthTries:      l.MaxAuthTries,
		MaxSessions:       l.MaxSessions,
		IdleTimeout:       l.IdleTimeout,
		MaxConnection:     l.MaxConnection,
		MaxLogins:         l.MaxLogins,
		MaxLoginsPerKey:   l.MaxLoginsPerKey,
		Penalties:         l.Penalties,
		PenaltyExempt:     l.PenaltyExempt,
	}
}

// current is the configuration that is in force now.
func (d *daemon) current() *config.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

// serve serves listeners until ctx ends, then drains and returns.
func (d *daemon) serve(ctx context.Context, listeners []net.Listener) error {
	failed := make(chan error, len(listeners))
	var serving sync.WaitGroup
	accepting, stop := context.WithCancel(ctx)
	defer stop()
	serving.Go(func() { d.control.Serve(accepting) })
	for _, l := range listeners {
		serving.Go(func() {
			if err := d.gate.Serve(l); err != nil {
				failed <- fmt.Errorf("listening on %s: %w", l.Addr(), err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = &exit{sysexits.Unavailable, err}
	}
	d.log.Info("stopping")
	sd.SdNotify(false, sd.SdNotifyStopping)
	stop()
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	d.gate.Shutdown(drain) // drains the commands of both doors
	serving.Wait()
	return err
}

// Close ends what newDaemon opened.
func (d *daemon) Close() {
	if d.remember != nil {
		d.remember()
	}
	if d.leases != nil {
		d.leases()
	}
	if d.publishers != nil {
		d.publishers.Close()
	}
	if d.store != nil {
		if err := d.store.Close(); err != nil {
			d.log.Error("closing the store failed", "error", err)
		}
	}
	if d.keys != nil {
		d.keys.Close()
	}
	d.useRevoked(nil)
}
