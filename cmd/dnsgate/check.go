//go:build linux

package main

import (
	"errors"
	"fmt"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/config"
	"dnsgate/internal/publish"

	"github.com/spf13/cobra"
)

func checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Read everything as serve would, and print every fault",
		Long: `Read configuration, host keys, authorized_keys and every data source as serve
would, and print every fault as "file:line: what is wrong". Exits 0 when there
is none, 78 otherwise.`,
		Args: arguments(0, 0),
	}
	configFile := configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		faults := 0
		tell := func(err any) {
			faults++
			fmt.Fprintln(c.OutOrStdout(), err)
		}
		check(*configFile, tell)
		if faults > 0 {
			return &exit{exConfig, nil}
		}
		fmt.Fprintln(c.ErrOrStderr(), "no faults")
		return nil
	}
	return c
}

// check tells every fault.
func check(configFile string, tell func(any)) {
	cfg, err := loadConfig(configFile)
	var faults config.Faults
	switch {
	case errors.As(err, &faults):
		for _, f := range faults {
			tell(f)
		}
		return
	case err != nil:
		tell(fmt.Sprintf("%s:1: %v", configFile, err))
		return
	}
	for _, path := range cfg.HostKeys {
		if _, err := loadHostKeys([]string{path}); err != nil {
			tell(err)
		}
	}
	_, lines, err := authkeys.Load(cfg.AuthorizedKeys)
	if err != nil {
		tell(fmt.Sprintf("%s:1: %v", cfg.AuthorizedKeys, err))
	}
	for _, f := range lines {
		tell(f)
	}
	checkTargets(cfg, tell)
}

func checkTargets(cfg *config.Config, tell func(any)) {
	if t := cfg.TinyDNS; t != nil {
		for _, err := range publish.CheckTinydns(tinydnsOptions(t, nil)) {
			tell(err)
		}
	}
	for _, z := range cfg.RFC2136 {
		if _, err := publish.NewRFC2136(rfc2136Options(z, nil, nil)); err != nil {
			tell(err)
		}
	}
}
