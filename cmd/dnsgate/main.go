//go:build !client

// Command dnsgate is an SSH-only dynamic DNS gateway: see README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"dnsgate/internal/config"
	"dnsgate/internal/sysexits"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:])) }

// run runs one command line and returns its exit status. Nobody below it ends
// the process.
func run(args []string) int {
	root := commands()
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	if !errors.As(err, new(*exit)) && err != nil { // of cobra: no such flag
		err = &exit{sysexits.Usage, fmt.Errorf("%w; see dnsgate --help", err)}
	}
	return report(err)
}

func commands() *cobra.Command {
	root := &cobra.Command{
		Use:   "dnsgate",
		Short: "An SSH-only dynamic DNS gateway",
		Long: `dnsgate lets machines whose addresses change update their own names:

    ssh -p 2222 gate.example.com update 203.0.113.7

It maps each authorized key to the hostnames that it may update, stores every
change durably, publishes it to tinydns, BIND, Knot or PowerDNS, and answers
"good" only then. Begin with: dnsgate quickstart`,
		Version:           version(),
		Args:              cobra.ArbitraryArgs,
		RunE:              noCommand,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetVersionTemplate("dnsgate {{.Version}}\n")
	root.SetHelpCommand(helpCommand())
	root.AddCommand(gatewayCommands()...)
	root.AddCommand(pushCommand(), versionCommand(), completionCommand())
	return root
}

// noCommand is what a command that only has subcommands does.
func noCommand(c *cobra.Command, args []string) error {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	said := "a command is missing"
	if len(args) > 0 {
		said = fmt.Sprintf("there is no command %q", c.CommandPath()+" "+args[0])
	}
	return &exit{sysexits.Usage, fmt.Errorf("%s; there is %s; see %s --help", said, strings.Join(names, ", "), c.CommandPath())}
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Print what a command does",
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil {
				return noCommand(c.Root(), args)
			}
			if len(rest) > 0 && about.HasSubCommands() {
				return noCommand(about, rest)
			}
			return about.Help()
		},
	}
}

// defaultConfig is where the configuration is unless --config says otherwise.
const defaultConfig = "/etc/dnsgate/dnsgate.toml"

// configFlag adds --config to c.
func configFlag(c *cobra.Command) *string {
	return c.Flags().String("config", defaultConfig, "configuration `FILE`")
}

// loadConfig reads the configuration; its error has the exit status.
func loadConfig(file string) (*config.Config, error) {
	cfg, err := config.Load(file)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w; make one with dnsgate init DIR, or name another with --config FILE", err)
	}
	if err != nil {
		return nil, &exit{sysexits.Config, err}
	}
	return cfg, nil
}

// logFlag adds --log-format to c, and returns what makes the logger.
func logFlag(c *cobra.Command) func(io.Writer) (*slog.Logger, error) {
	format := c.Flags().String("log-format", "text", "`FORMAT` of the log: text or json")
	return func(w io.Writer) (*slog.Logger, error) {
		switch *format {
		case "text":
			return slog.New(slog.NewTextHandler(w, nil)), nil
		case "json":
			return slog.New(slog.NewJSONHandler(w, nil)), nil
		}
		return nil, &exit{sysexits.Usage, fmt.Errorf("--log-format is text or json, not %q", *format)}
	}
}

// arguments checks how many there are; most < 0 is any number.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return &exit{sysexits.Usage, fmt.Errorf("an argument is missing; usage: %s", c.UseLine())}
		case most >= 0 && len(args) > most:
			return &exit{sysexits.Usage, fmt.Errorf("%q is one argument too many; usage: %s", args[most], c.UseLine())}
		}
		return nil
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "dnsgate %s\n", version())
			return err
		},
	}
}
