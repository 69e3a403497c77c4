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
	ctx, hup, stop := daemonSignals(ctx)
	defer stop()
	cfg, err := loadConfig(configFile)
	if err != nil {
		return err
	}
	if cfg.Follow != nil {
		return &exit{sysexits.Config, fmt.Errorf("%s: it has a table [follow], so it is for dnsgate follow", configFile)}
	}
	allowance := limitMemory()
	listeners, err := openListeners(cfg.Listen) // before anything is written
	if err != nil {
		return cannotListen(err, configFile)
	}
	defer closeAll(listeners)
	d, err := newDaemon(configFile, cfg, log)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.confine(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	beside.Go(func() { reloadOn(ctx, hup, d.reloadNotifying) })
	beside.Go(func() { collectInTime(ctx, allowance) })
	beside.Go(func() { d.keepMetricsFile(ctx) })
	for _, l := range listeners {
		log.Info("listening", "address", l.Addr().String())
	}
	sd.SdNotify(false, sd.SdNotifyReady)
	return d.serve(ctx, listeners)
}

// daemonSignals makes SIGTERM and SIGINT end the context, and sends SIGHUP to hup.
func daemonSignals(ctx context.Context) (_ context.Context, hup <-chan os.Signal, stop func()) {
	ctx, end := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	hangups := make(chan os.Signal, 1) // from the start: otherwise an early SIGHUP ends the process
	signal.Notify(hangups, syscall.SIGHUP)
	return ctx, hangups, func() {
		signal.Stop(hangups)
		end()
	}
}

// confine takes away from the process the rights that it does not need, if the
// configuration says so.
func (d *daemon) confine() (err error) {
	if !d.config.Confine {
		return nil
	}
	if d.confined, err = confine.Apply(confinement(d.configFile, d.config), d.log); err != nil {
		return &exit{sysexits.Config, err}
	}
	return nil
}

// reloadOn calls reload, which logs what is wrong, at each signal until ctx ends.
func reloadOn(ctx context.Context, hup <-chan os.Signal, reload func(context.Context)) {
	for {
		select {
		case <-hup:
			reload(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (d *daemon) reloadNotifying(ctx context.Context) {
	sd.SdNotify(false, sd.SdNotifyReloading)
	d.reload(ctx)
	sd.SdNotify(false, sd.SdNotifyReady)
}

// openListeners takes the sockets that systemd passed, or else opens addresses.
func openListeners(addresses []string) (listeners []net.Listener, err error) {
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

// cannotListen says what to do about an error of openListeners.
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
