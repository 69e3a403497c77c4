//go:build linux && !client

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/config"
	"dnsgate/internal/durable"
	"dnsgate/internal/publish/datafile"
	"dnsgate/internal/records"
	"dnsgate/internal/sysexits"

	"github.com/spf13/cobra"
	gossh "golang.org/x/crypto/ssh"
)

func checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Read everything as serve would, and print every fault",
		Long: `Read configuration, host keys, authorized_keys and every data source as serve
would, and print every fault as "file:line: what is wrong". Exits 0 when there
is none, 78 otherwise. It warns of names that a key may update and no name
server here serves.

With --live it also asks every name server: does each [[rfc2136]] server have the
zone and accept the TSIG key; do the server of verify and each secondary in notify
have the zones of tinydns; and each endpoint of etcd: does it reach a majority.
Nothing is changed by that.`,
		Args: arguments(0, 0),
	}
	configFile := configFlag(c)
	live := c.Flags().Bool("live", false, "ask the name servers too")
	c.RunE = func(c *cobra.Command, _ []string) error {
		faults := 0
		tell := func(err any) {
			faults++
			fmt.Fprintln(c.OutOrStdout(), err)
		}
		warn := func(text string) { fmt.Fprintln(c.ErrOrStderr(), text) }
		if cfg, tinydns := check(*configFile, tell, warn); *live && cfg != nil {
			checkLive(c.Context(), cfg, tinydns, tell, warn)
		}
		if faults > 0 {
			return &exit{sysexits.Config, nil}
		}
		fmt.Fprintln(c.ErrOrStderr(), "no faults")
		return nil
	}
	return c
}

// check reports every fault, and warns of settings that are allowed but probably not
// meant. It returns the configuration, or nil, and the zones of tinydns, nil if they
// are not known.
func check(configFile string, tell func(any), warn func(string)) (*config.Config, *datafile.Zones) {
	cfg, err := loadConfig(configFile)
	var faults config.Problems
	switch {
	case errors.As(err, &faults):
		for _, f := range faults {
			tell(f)
		}
		return nil, nil
	case err != nil:
		tell(whyUnreadable(configFile, err))
		return nil, nil
	}
	if cfg.Follow != nil {
		checkFollower(configFile, cfg, tell)
		return nil, nil
	}
	checkHostKeys(cfg, tell, warn)
	if err := checkStore(context.Background(), cfg); err != nil {
		tell(err)
	}
	keys, lines, err := authkeys.Load(cfg.AuthorizedKeys)
	if err != nil {
		tell(whyUnreadable(cfg.AuthorizedKeys, err))
	}
	for _, f := range lines {
		tell(f)
	}
	if cfg.RevokedKeys != "" {
		if err := authkeys.LoadRevoked(cfg.RevokedKeys); err != nil {
			tell(whyUnreadable(cfg.RevokedKeys, err))
		}
	}
	var grants []authkeys.Grant
	if keys != nil {
		grants = keys.Grants()
	}
	warnOfFewFollowers(cfg, grants, warn)
	grants = slices.DeleteFunc(slices.Clone(grants), func(g authkeys.Grant) bool { return g.Follow })
	zones, tinydns := checkTargets(cfg, grants, tell)
	switch {
	case len(cfg.RFC2136) == 0 && cfg.TinyDNS == nil:
		tell(configFile + ":1: there is nothing to publish to; add a table [tinydns], or [[rfc2136]]")
	case zones != nil:
		for _, g := range grants {
			if err := zones.unserved(g); err != nil {
				warn(fmt.Sprintf("%s:%d: warning: %v", cfg.AuthorizedKeys, g.Line, err))
			}
		}
	}
	return cfg, tinydns
}

// whyUnreadable says why the file at path cannot be read as a whole. An error that names
// the path itself gets a line number, as every fault of a file has; a folder has none.
func whyUnreadable(path string, err error) string {
	text := err.Error()
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return path + ": this is a folder, not a file"
	}
	if rest, itself := strings.CutPrefix(text, path+": "); itself {
		return path + ":1: " + rest
	}
	if fault := (*fs.PathError)(nil); errors.As(err, &fault) && fault.Path == path {
		return fmt.Sprintf("%s:1: %s", path, text)
	}
	return text
}

// checkHostKeys also warns of keys that prove nothing.
func checkHostKeys(cfg *config.Config, tell func(any), warn func(string)) {
	signers := make([]gossh.Signer, len(cfg.HostKeys))
	for i, path := range cfg.HostKeys {
		var err error
		if signers[i], err = loadHostKey(path); err != nil {
			tell(err)
		}
	}
	for _, text := range idleHostKeys(cfg, signers) {
		warn("warning: " + text)
	}
}

// checkTargets returns the zones of all targets, and those of tinydns alone; nil if
// they are not known.
func checkTargets(cfg *config.Config, grants []authkeys.Grant, tell func(any)) (zones *allZones, tinydns *datafile.Zones) {
	zones = new(allZones)
	for i := range cfg.RFC2136 {
		target, err := newRFC2136(cfg, i, nil, nil)
		if err != nil {
			tell(err)
			zones = nil
		} else if zones != nil {
			zones.rfc2136 = append(zones.rfc2136, target)
		}
	}
	if t := cfg.TinyDNS; t != nil {
		var hosts []records.Name
		for _, g := range grants {
			hosts = append(hosts, g.Hosts...)
		}
		slices.Sort(hosts)
		place := func(option string) string { return cfg.Places.Of("tinydns." + option) }
		var faults []error
		faults, tinydns = datafile.Check(tinydnsOptions(t, place, nil), slices.Compact(hosts), durable.AccountOf(cfg.State))
		for _, err := range faults {
			tell(err)
		}
		if zones != nil && tinydns != nil {
			zones.tinydns = tinydns
		} else {
			zones = nil
		}
	}
	return zones, tinydns
}
