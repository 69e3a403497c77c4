//go:build linux && !client

package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"dnsgate/internal/command"
	"dnsgate/internal/config"
	"dnsgate/internal/control"
	"dnsgate/internal/screen"
	"dnsgate/internal/sysexits"

	"github.com/spf13/cobra"
)

func adminCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "admin COMMAND...",
		Short: "Run an admin command on the gateway of this machine",
		Long: `Run an admin command on the gateway that runs on this machine: status, hosts, keys,
history, reload, rebuild, offline, metrics, top, backup; "dnsgate admin help" says more.
It is for root and for the user that the gateway runs as.

As the forced command of an account of OpenSSH's sshd it runs what the client sent.`,
	}
	configFile := configFlag(c)
	c.Flags().SetInterspersed(false) // what follows the command is the command's
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 && os.Getenv("SSH_CONNECTION") != "" {
			return forced(c, *configFile, "dnsgate admin")
		}
		if len(args) == 0 {
			return &exit{sysexits.Usage, errors.New("a command is missing; try: dnsgate admin help")}
		}
		req := control.Request{Forced: "dnsgate admin", Command: strings.Join(args, " ")}
		return callGateway(c, *configFile, req)
	}
	return c
}

// forcedCommand is a grant's first word, for the forced commands of accounts of
// OpenSSH's sshd.
func forcedCommand(name, usage, short string) *cobra.Command {
	return &cobra.Command{
		Use:   strings.TrimSpace(name + " " + usage),
		Short: short,
		Long: short + `.

The lines of authorized_keys work unchanged as those of an account of OpenSSH's sshd
that [sshd] users names in dnsgate.toml; sshd_config needs "ExposeAuthInfo yes".`,
		DisableFlagParsing: true, // they are the grant's
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
				return c.Help()
			}
			return forced(c, defaultConfig, strings.Join(append([]string{"dnsgate", name}, args...), " "))
		},
	}
}

// forced runs what sshd's client sent, as the forced command allows.
func forced(c *cobra.Command, configFile, line string) error {
	req, err := control.FromSSHD(line, os.Getenv)
	if err != nil {
		return &exit{sysexits.NoPerm, err}
	}
	return callGateway(c, configFile, req)
}

func callGateway(c *cobra.Command, configFile string, req control.Request) error {
	path, err := controlSocket(c, configFile)
	if err != nil {
		return err
	}
	std := control.Streams{In: c.InOrStdin(), Out: c.OutOrStdout(), Err: c.ErrOrStderr()}
	restore, err := takeTerminal(&req, &std)
	if err != nil {
		return &exit{sysexits.IO, err}
	}
	defer restore()
	status, err := control.Call(c.Context(), path, req, std)
	switch {
	case errors.Is(err, control.ErrNotRunning):
		return &exit{sysexits.Unavailable, err}
	case errors.Is(err, fs.ErrPermission):
		return &exit{sysexits.NoPerm, err}
	case err != nil && c.Context().Err() == nil && !errors.Is(err, context.Canceled):
		return &exit{sysexits.Temp, err}
	case err != nil || status != 0:
		return &exit{max(status, 1), nil}
	}
	return nil
}

// takeTerminal makes this process's terminal, if it has one, that of a command that
// draws, until restore.
func takeTerminal(req *control.Request, std *control.Streams) (restore func(), err error) {
	if !command.Parse(req.Command).IsScreen() {
		return func() {}, nil
	}
	local, err := screen.OpenLocal(std.In, std.Out)
	if err != nil || local == nil {
		return func() {}, err
	}
	std.In = local.In
	req.Terminal = &control.Terminal{
		Type: local.Type, NoColor: local.NoColor, Width: uint32(local.Size.Width), Height: uint32(local.Size.Height),
	}
	return local.Close, nil
}

// controlSocket is where the gateway's configuration says; where an account may
// not read that, it is the place for accounts.
func controlSocket(c *cobra.Command, configFile string) (string, error) {
	cfg, err := config.Load(configFile)
	if (errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist)) && !c.Flags().Changed("config") {
		return config.SharedControl, nil
	}
	if err != nil {
		return "", &exit{sysexits.Config, err}
	}
	return cfg.ControlSocket(), nil
}
