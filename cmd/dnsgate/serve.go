//go:build linux && !client

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"dnsgate/internal/confine"
	"dnsgate/internal/sysexits"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
)

func serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway in the foreground",
		Long: `Run the gateway in the foreground, logging to standard error.

SIGHUP reads keys and configuration again. SIGTERM and SIGINT let the commands
that run finish, then stop. Under systemd it tells when it is ready, and takes
the sockets that systemd opened for it.`,
		Args: arguments(0, 0),
	}
	configFile, logger := configFlag(c), logFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		log, err := logger(c.ErrOrStderr())
		if err != nil {
			return err
		}
		return serve(c.Context(), *configFile, log)
	}
	return c
}

func serve(ctx context.Context, configFile string, log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hup := make(chan os.Signal, 1) // from the start on: without, SIGHUP ends the process
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	cfg, err := loadConfig(configFile)
	if err != nil {
		return err
	}
	if cfg.Follow != nil {
		return &exit{sysexits.Config, fmt.Errorf("%s: it has a table [follow], so it is for dnsgate follow", configFile)}
	}
	allowance := limitMemory()
	listeners, err := listen(cfg.Listen) // before anything is written
	if err != nil {
		return cannotListen(err, configFile)
	}
	defer closeAll(listeners)
	d, err := newDaemon(configFile, cfg, log)
	if err != nil {
		return err
	}
	defer d.Close()
	if cfg.Confine {
		if d.confined, err = confine.Apply(confinement(configFile, cfg), log); err != nil {
			return &exit{sysexits.Config, err}
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	beside.Go(func() { d.reloadOn(ctx, hup) })
	beside.Go(func() { collectInTime(ctx, allowance) })
	beside.Go(func() { d.keepMetricsFile(ctx) })
	for _, l := range listeners {
		log.Info("listening", "address", l.Addr().String())
	}
	sd.SdNotify(false, sd.SdNotifyReady)
	return d.serve(ctx, listeners)
}

// reloadOn reloads at each signal until ctx ends.
func (d *daemon) reloadOn(ctx context.Context, hup <-chan os.Signal) {
	for {
		select {
		case <-hup:
			sd.SdNotify(false, sd.SdNotifyReloading)
			d.reload(ctx) // logs what is wrong
			sd.SdNotify(false, sd.SdNotifyReady)
		case <-ctx.Done():
			return
		}
	}
}

// listen takes the sockets that systemd passed, or else opens addresses.
func listen(addresses []string) (listeners []net.Listener, err error) {
	if listeners, err = activated(); err != nil || len(listeners) > 0 {
		return listeners, err
	}
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			closeAll(listeners)
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// cannotListen says what to do about an error of listen.
func cannotListen(err error, configFile string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		err = fmt.Errorf("%w; is it running already? else change listen in %s", err, configFile)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		err = fmt.Errorf("%w; this machine does not have it: change listen in %s", err, configFile)
	}
	return &exit{sysexits.Unavailable, err}
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

func activated() ([]net.Listener, error) {
	passed, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("taking systemd's sockets: %w", err)
	}
	for i, l := range passed {
		if l == nil {
			return nil, fmt.Errorf("socket %d of systemd is not a listening stream socket", i)
		}
	}
	return passed, nil
}
