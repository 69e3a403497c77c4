package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

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
	d, err := newDaemon(configFile, log)
	if err != nil {
		return err
	}
	defer d.Close()
	listeners, err := listen(d.config.Listen)
	if err != nil {
		return &exit{exUnavailable, err}
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	go func() {
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
	}()
	for _, l := range listeners {
		log.Info("listening", "address", l.Addr().String())
	}
	sd.SdNotify(false, sd.SdNotifyReady)
	defer sd.SdNotify(false, sd.SdNotifyStopping)
	return d.serve(ctx, listeners)
}

// listen takes the sockets that systemd passed, or else opens addresses.
func listen(addresses []string) (listeners []net.Listener, err error) {
	if listeners, err = activated(); err != nil || len(listeners) > 0 {
		return listeners, err
	}
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
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
