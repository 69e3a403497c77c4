//go:build linux && !client

package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/sysexits"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	gossh "golang.org/x/crypto/ssh"
)

func keyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "key", Short: "Add, list, replace and remove authorized keys", Args: cobra.ArbitraryArgs, RunE: noCommand,
	}
	configFile := c.PersistentFlags().String("config", defaultConfig, "configuration `FILE`")
	c.AddCommand(keyAddCommand(configFile), keyListCommand(configFile),
		keyReplaceCommand(configFile), keyRemoveCommand(configFile))
	return c
}

func keyAddCommand(configFile *string) *cobra.Command {
	c := &cobra.Command{
		Use:   "add HOST... < key.pub",
		Short: "Authorize the public key on standard input for hosts",
		Long: `Authorize the public key on standard input for hosts: NAME, *.NAME for the
wildcard record of NAME, .NAME for any name below it. The line is appended to
authorized_keys, and takes effect within a second.

With --batch, standard input has a line for each key instead,

    HOST[,HOST...] TYPE BASE64 [COMMENT]

and the flags are for all of them. Either all are added or none is.`,
	}
	flags := c.Flags()
	flags.String("ttl", "", "time to live of the records, in `SECONDS`")
	flags.String("address", "", "which addresses: any, peer or match (`RULE`)")
	flags.Bool("private", false, "private, CGNAT and unique local addresses too")
	flags.Bool("acme", false, "TXT records at _acme-challenge. below the hosts too")
	flags.String("lease", "", "records leave if not refreshed for `DURATION`")
	flags.Bool("read-only", false, "no changes")
	flags.Bool("ca", false, "the key is a CA's: for keys with its certificate, and those of its principals that HOST covers")
	flags.Bool("admin", false, "the admin commands, and no hosts")
	flags.Bool("monitor", false, "those of the admin commands that only read, and no hosts")
	flags.Bool("follow", false, "for the machine of another name server: it takes the state of the hosts, and changes none")
	batch := flags.Bool("batch", false, "many keys, with their hosts, on standard input")
	c.RunE = func(c *cobra.Command, hosts []string) error {
		if *batch {
			return addBatch(c, *configFile, flags, hosts)
		}
		grant, err := grantOf(flags, hosts)
		if err != nil {
			return &exit{sysexits.Usage, err}
		}
		return addKey(c, *configFile, grant)
	}
	return c
}

// grantOf makes a grant of the flags that were given, by the words that they
// are in a forced command.
func grantOf(flags *pflag.FlagSet, hosts []string) (authkeys.Grant, error) {
	var words []string
	flags.Visit(func(f *pflag.Flag) {
		switch {
		case slices.Contains([]string{"config", "admin", "monitor", "follow", "batch", "ca"}, f.Name):
		case f.Value.Type() != "bool":
			words = append(words, "--"+f.Name+"="+f.Value.String())
		case f.Value.String() == "true":
			words = append(words, "--"+f.Name)
		}
	})
	words = append(words, hosts...)
	ca, _ := flags.GetBool("ca")
	if follow, _ := flags.GetBool("follow"); follow {
		if len(words) > len(hosts) || ca || flags.Changed("admin") || flags.Changed("monitor") {
			return authkeys.Grant{}, errors.New("--follow goes with names, and no other flag")
		}
		return authkeys.ParseFollow(hosts)
	}
	for _, role := range []string{"admin", "monitor"} {
		switch is, _ := flags.GetBool(role); {
		case is && (len(words) > 0 || ca || flags.Changed("admin") && flags.Changed("monitor")):
			return authkeys.Grant{}, fmt.Errorf("--%s goes with no other flag and no host", role)
		case is:
			return authkeys.ParseCommand("dnsgate " + role)
		}
	}
	grant, err := authkeys.ParseAllow(words)
	grant.CA = ca
	return grant, err
}

func addKey(c *cobra.Command, configFile string, grant authkeys.Grant) error {
	cfg, err := loadConfig(configFile)
	if err != nil {
		return err
	}
	key, comment, err := readKey(c.InOrStdin(), stdin, "dnsgate key add HOST... < key.pub")
	if err != nil {
		return err
	}
	grant.Comment = comment
	line := authkeys.NewLine{Text: authkeys.FormatLine(grant, key), At: stdin}
	added, err := authkeys.Add(cfg.AuthorizedKeys, line)
	if err != nil {
		return &exit{sysexits.Data, err}
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), describe(added[0]))
	return err
}

const stdin = "standard input"

// readKey reads the one public key of in, which is called name. Its error has the
// exit status, and for an empty input the usage.
func readKey(in io.Reader, name, usage string) (gossh.PublicKey, string, error) {
	text, err := io.ReadAll(io.LimitReader(in, authkeys.MaxLine))
	if err != nil {
		return nil, "", &exit{sysexits.IO, fmt.Errorf("reading %s: %w", name, err)}
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, "", &exit{sysexits.Data, fmt.Errorf("%s: it is empty; give the public key: %s", name, usage)}
	}
	key, comment, err := authkeys.ParseKey(string(text))
	if err != nil {
		return nil, "", &exit{sysexits.Data, fmt.Errorf("%s: %w", name, err)}
	}
	return key, comment, nil
}

// describe is a key's line of "key list".
func describe(g authkeys.Grant) string {
	if g.CA {
		return fmt.Sprintf("%s %s cert-authority %s", g.Fingerprint, cmp.Or(g.Comment, "-"), g.Command())
	}
	return fmt.Sprintf("%s %s %s", g.Fingerprint, cmp.Or(g.Comment, "-"), g.Command())
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
				return &exit{sysexits.Config, err}
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
