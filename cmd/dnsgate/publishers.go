//go:build linux && !client

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"dnsgate/internal/config"
	"dnsgate/internal/publish"
	"dnsgate/internal/publish/datafile"
	"dnsgate/internal/publish/rfc2136"
	"dnsgate/internal/records"
)

// publishers is the running publish.Set, which a reload may replace. Commands wait on
// it.
type publishers struct {
	store  records.Store
	log    *slog.Logger
	places atomic.Pointer[config.Places] // of the configuration as it was read last

	mu      sync.Mutex
	running *runningSet
}

type runningSet struct {
	*publish.Set
	config *config.Config
	ctx    context.Context // ends when the set is to stop
	stop   context.CancelFunc
	done   chan struct{}
}

func newPublishers(cfg *config.Config, store records.Store, log *slog.Logger) (*publishers, error) {
	p := &publishers{store: store, log: log}
	running, err := p.start(cfg)
	if err != nil {
		return nil, err
	}
	p.running = running
	return p, nil
}

func (p *publishers) start(cfg *config.Config) (*runningSet, error) {
	p.places.Store(&cfg.Places)
	s := &runningSet{config: cfg, done: make(chan struct{})}
	s.ctx, s.stop = context.WithCancel(context.Background())
	targets, err := p.makeTargets(s.ctx, cfg)
	if err != nil {
		s.stop()
		return nil, err
	}
	s.Set = publish.NewSet(func() publish.Source { return p.store.Follow(0) }, p.log, targets...)
	if t := cfg.TinyDNS; t != nil && t.Verify != "" {
		v, err := datafile.NewVerifier(t.Verify, t.Timeout, p.store.Hosts)
		if err != nil {
			s.stop()
			closeTargets(targets)
			return nil, err
		}
		s.Verify(targets[0], v)
	}
	go func() {
		defer close(s.done)
		s.Run(s.ctx)
	}()
	return s, nil
}

// makeTargets opens every target that cfg names, or none. Where several gateways share
// a target, one of them sends to it until ctx ends.
func (p *publishers) makeTargets(ctx context.Context, cfg *config.Config) (targets []publish.Target, err error) {
	defer func() {
		if err != nil {
			closeTargets(targets)
		}
	}()
	if t := cfg.TinyDNS; t != nil {
		place := func(option string) string { return p.places.Load().Of("tinydns." + option) }
		target, err := datafile.New(tinydnsOptions(t, place, p.log))
		if err != nil {
			return targets, err
		}
		targets = append(targets, target)
	}
	for i := range cfg.RFC2136 {
		target, err := p.newRFC2136(ctx, cfg, i)
		if err != nil {
			return targets, err
		}
		targets = append(targets, target)
	}
	return targets, nil
}

func closeTargets(targets []publish.Target) {
	for _, t := range targets {
		if c, ok := t.(io.Closer); ok {
			c.Close()
		}
	}
}

// tinydnsOptions are those of t. place begins the errors that the configuration is to
// blame for.
func tinydnsOptions(t *config.TinyDNS, place func(option string) string, log *slog.Logger) datafile.Options {
	return datafile.Options{
		Root: t.Root, Write: string(t.Write), Path: t.Path, Sources: t.Sources,
		Rebuild: t.Rebuild, Timeout: t.Timeout, AAAA: string(t.AAAA), Location: t.Location,
		After: t.After, Notify: t.Notify,
		Place: place, Logger: log,
	}
}

// sharedTimeout limits a message to a name server that several gateways share. It is
// shorter than the rest of a term, which is renewed each second.
const sharedTimeout = 3 * time.Second

// newRFC2136 makes the target of cfg.RFC2136[i]; before may be nil.
func newRFC2136(cfg *config.Config, i int, log *slog.Logger, before func(time.Duration) error) (*rfc2136.Target, error) {
	var zones []string
	for _, z := range cfg.RFC2136 {
		zones = append(zones, z.Zone)
	}
	z := cfg.RFC2136[i]
	timeout := time.Duration(0)
	if before != nil {
		timeout = sharedTimeout
	}
	target, err := rfc2136.New(rfc2136.Options{
		Server: z.Server, Zone: z.Zone, Zones: zones,
		TSIGName: z.TSIGName, TSIGAlgorithm: z.TSIGAlgorithm, TSIGSecretFile: z.TSIGSecret,
		Timeout: timeout, Logger: log, Before: before,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: zone %s: %w", cfg.Places.Of(fmt.Sprintf("rfc2136[%d]", i)), z.Zone, err)
	}
	return target, nil
}

func (p *publishers) current() *runningSet {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running
}

// replace stops the running set and starts that of cfg, or the old one again if the new
// one cannot start. Unchanged settings keep the running set, unless its restart failed
// before.
func (p *publishers) replace(cfg *config.Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.running
	same := reflect.DeepEqual(old.config.TinyDNS, cfg.TinyDNS) && reflect.DeepEqual(old.config.RFC2136, cfg.RFC2136)
	if same && old.ctx.Err() == nil {
		p.places.Store(&cfg.Places)
		return nil
	}
	old.stop()
	<-old.done
	set, err := p.start(cfg)
	if err != nil {
		var again error
		if set, again = p.start(old.config); again != nil {
			return errors.Join(err, fmt.Errorf("and the old ones do not start again: %w", again))
		}
	}
	p.running = set
	return err
}

// Wait implements command.Publishers. If the set is replaced meanwhile, the new one
// publishes the change.
func (p *publishers) Wait(ctx context.Context, names []records.Name, revision uint64) error {
	return p.whileRunning(ctx, func(ctx context.Context, s *runningSet) error { return s.Wait(ctx, names, revision) })
}

// Reach is publish.Set's of the set that runs.
func (p *publishers) Reach(ctx context.Context, revision uint64) (refused []records.Name, err error) {
	err = p.whileRunning(ctx, func(ctx context.Context, s *runningSet) error {
		refused, err = s.Reach(ctx, revision)
		return err
	})
	return refused, err
}

// Unserved is publish.Set's of the set that runs.
func (p *publishers) Unserved(ctx context.Context, names []records.Name) []records.Name {
	return p.current().Unserved(ctx, names)
}

// Rebuild implements command.Publishers.
func (p *publishers) Rebuild(ctx context.Context) error {
	return p.whileRunning(ctx, func(ctx context.Context, s *runningSet) error { return s.Rebuild(ctx) })
}

func (p *publishers) whileRunning(ctx context.Context, f func(context.Context, *runningSet) error) error {
	for {
		s := p.current()
		inner, cancel := context.WithCancel(ctx)
		unhook := context.AfterFunc(s.ctx, cancel)
		err := f(inner, s)
		unhook()
		cancel()
		if err == nil || ctx.Err() != nil || s.ctx.Err() == nil {
			return err
		}
		<-s.done
		if p.current() == s {
			return errors.New("the publishers have stopped")
		}
	}
}

// fits is an error if a name server that serves all names cannot serve h.
func (p *publishers) fits(h records.Host) error {
	if p.current().config.TinyDNS == nil {
		return nil
	}
	return datafile.Fits(h)
}

// Progress implements command.Publishers.
func (p *publishers) Progress() []records.Progress { return p.current().Progress() }

// Close publishes what is pending and ends the set.
func (p *publishers) Close() {
	s := p.current()
	s.stop()
	<-s.done
}
