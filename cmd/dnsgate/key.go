//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"dnsgate/internal/authkeys"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func keyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "key", Short: "Add, list and remove authorized keys", Args: cobra.ArbitraryArgs, RunE: noCommand,
	}
	configFile := c.PersistentFlags().String("config", "/etc/dnsgate/dnsgate.toml", "configuration `FILE`")
	c.AddCommand(keyAddCommand(configFile), keyListCommand(configFile), keyRemoveCommand(configFile))
	return c
}

func keyAddCommand(configFile *string) *cobra.Command {
	c := &cobra.Command{
		Use:   "add HOST... < key.pub",
		Short: "Authorize the public key on standard input for hosts",
		Long: `Authorize the public key on standard input for hosts: NAME, *.NAME for the
wildcard record of NAME, .NAME for any name below it. The line is appended to
authorized_keys, and takes effect within a second.`,
	}
	flags := c.Flags()
	flags.String("ttl", "", "time to live of the records, in `SECONDS`")
	flags.String("address", "", "which addresses: any, peer or match (`RULE`)")
	flags.Bool("private", false, "private, CGNAT and unique local addresses too")
	flags.Bool("acme", false, "TXT records at _acme-challenge. below the hosts too")
	flags.String("lease", "", "records leave if not refreshed for `DURATION`")
	flags.Bool("read-only", false, "no changes")
	admin := flags.Bool("admin", false, "the admin commands, and no hosts")
	c.RunE = func(c *cobra.Command, hosts []string) error {
		grant, err := grantOf(flags, hosts, *admin)
		if err != nil {
			return &exit{exUsage, err}
		}
		return addKey(c, *configFile, grant)
	}
	return c
}

// grantOf makes a grant of the flags that were given, by the words that they
// are in a forced command.
func grantOf(flags *pflag.FlagSet, hosts []string, admin bool) (authkeys.Grant, error) {
	var words []string
	flags.Visit(func(f *pflag.Flag) {
		switch {
		case f.Name == "config" || f.Name == "admin":
		case f.Value.Type() != "bool":
			words = append(words, "--"+f.Name+"="+f.Value.String())
		case f.Value.String() == "true":
			words = append(words, "--"+f.Name)
		}
	})
	words = append(words, hosts...)
	if !admin {
		return authkeys.ParseAllow(words)
	}
	if len(words) > 0 {
		return authkeys.Grant{}, errors.New("--admin goes with no other flag and no host")
	}
	return authkeys.ParseCommand("dnsgate admin")
}

func addKey(c *cobra.Command, configFile string, grant authkeys.Grant) error {
	cfg, err := loadConfig(configFile)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(c.InOrStdin(), authkeys.MaxLine))
	if err != nil {
		return &exit{exIO, fmt.Errorf("reading the key: %w", err)}
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return &exit{exData, errors.New("standard input: it is empty; give the public key: dnsgate key add HOST... < key.pub")}
	}
	key, comment, err := authkeys.ParseKey(string(text))
	if err != nil {
		return &exit{exData, fmt.Errorf("standard input: %w", err)}
	}
	grant.Comment = comment
	added, err := authkeys.Add(cfg.AuthorizedKeys, authkeys.FormatLine(grant, key))
	if err != nil {
		return &exit{exData, err}
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), describe(added))
	return err
}

// describe is a key's line of "key list".
func describe(g authkeys.Grant) string {
	return fmt.Sprintf("%s %s %s", g.Fingerprint, orDash(g.Comment), g.Command())
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func keyListCommand(configFile *string) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Print fingerprint, comment and grants of each key", Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(*configFile)
			if err != nil {
				return err
			}
			set, faults, err := authkeys.Load(cfg.AuthorizedKeys)
			if err != nil {
				return &exit{exConfig, err}
			}
			for _, g := range set.Grants() {
				fmt.Fprintln(c.OutOrStdout(), describe(g))
			}
			for _, f := range faults {
				fmt.Fprintln(c.ErrOrStderr(), f)
			}
			return nil
		},
	}
}

func keyRemoveCommand(configFile *string) *cobra.Command {
	return &cobra.Command{
		Use: "remove FINGERPRINT", Short: "Remove a key's line", Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(*configFile)
			if err != nil {
				return err
			}
			err = authkeys.Remove(cfg.AuthorizedKeys, args[0])
			if errors.Is(err, authkeys.ErrUnknown) {
				return &exit{exData, fmt.Errorf("%s: no line with the key %q; see dnsgate key list", cfg.AuthorizedKeys, args[0])}
			}
			if err != nil {
				return &exit{exIO, err}
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "removed %s\n", strings.TrimSpace(args[0]))
			return err
		},
	}
}
