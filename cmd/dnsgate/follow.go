//go:build linux && !client

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"dnsgate/internal/config"
	"dnsgate/internal/sysexits"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
)

func followCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "follow",
		Short: "Keep this machine's name server up to a gateway on another machine",
		Long: `Take the state of the names in [follow] of dnsgate.toml from a gateway, then every
change, and publish it here: to [tinydns] or [[rfc2136]]. It serves, and starts, while
the gateway is away. SIGHUP reads the configuration again; "dnsgate admin status" and
its like work as on a gateway.

As the forced command of an account of OpenSSH's sshd, dnsgate follow NAME... serves
the follower that has logged in.`,
		Args: cobra.ArbitraryArgs,
	}
	configFile, logger := configFlag(c), logFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return forced(c, *configFile, strings.Join(append([]string{"dnsgate", "follow"}, args...), " "))
		}
		log, err := logger(c.ErrOrStderr())
		if err != nil {
			return err
		}
		return runFollower(c.Context(), *configFile, log)
	}
	return c
}

func runFollower(ctx context.Context, configFile string, log *slog.Logger) error {
	ctx, hup, stop := daemonSignals(ctx)
	defer stop()
	cfg, err := loadConfig(configFile)
	if err != nil {
		return err
	}
	if err := followable(configFile, cfg); err != nil {
		return &exit{sysexits.Config, err}
	}
	allowance := limitMemory()
	d, err := newFollowDaemon(configFile, cfg, log)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.confine(); err != nil {
		return err
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	for _, part := range []func(context.Context){
		func(ctx context.Context) {
			reloadOn(ctx, hup, func(ctx context.Context) { d.reload(ctx) })
		},
		func(ctx context.Context) { collectInTime(ctx, allowance) },
		d.keepMetricsFile, d.control.Serve, d.follower.Run, d.tellReady,
	} {
		beside.Go(func() { part(ctx) })
	}
	<-ctx.Done()
	log.Info("stopping")
	sd.SdNotify(false, sd.SdNotifyStopping)
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	d.commands.Drain(drain)
	return nil
}

// followable says why cfg is not the configuration of a follower.
func followable(configFile string, cfg *config.Config) error {
	switch {
	case cfg.Follow == nil:
		return errors.New(configFile + ":1: there is no table [follow]; it says which gateway this machine follows")
	case cfg.TinyDNS == nil && len(cfg.RFC2136) == 0:
		return errors.New(configFile + ":1: there is nothing to publish to; add a table [tinydns], or [[rfc2136]]")
	case cfg.Store != config.StoreBolt:
		return fmt.Errorf("%s: a follower keeps what it has in a store of its own: \"bolt\"", cfg.Places.Of("store"))
	case cfg.Followers.Require > 0:
		return fmt.Errorf("%s: [followers] is a gateway's, and this is a follower's configuration", cfg.Places.Of("followers.require"))
	}
	return nil
}
