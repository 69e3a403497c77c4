package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"dnsgate/internal/push"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func pushCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "push [OPTIONS] [ADDRESS...]",
		Short: "Tell a gateway which addresses this machine has now",
		Long: `Tell a gateway which addresses this machine has now, as push.conf says; see
hooks/README.md. It does what the script dnsgate-push does, and needs neither
ssh nor a shell. Options stand before addresses.

    dnsgate push                                as push.conf says
    dnsgate push 203.0.113.7 2001:db8::7        these addresses
    dnsgate push --watch                        now, and whenever they change
    dnsgate push --offline                      take the addresses away
    dnsgate push --acme add home.example.com VALUE`,
	}
	var o push.Options
	var talk push.Talk
	var do string
	f := c.Flags()
	f.SetInterspersed(false) // a challenge's value may begin with "-"
	f.SortFlags = false
	f.StringVarP(&o.Config, "config", "c", push.DefaultConfig(), "configuration `FILE`")
	f.BoolVarP(&o.IPv4, "ipv4", "4", false, "IPv4 only")
	f.BoolVarP(&o.IPv6, "ipv6", "6", false, "IPv6 only")
	f.StringArrayVar(&o.Hosts, "host", nil, "`NAME` in place of the file's hosts; may be repeated")
	f.BoolVar(&o.Peer, "peer", false, "send the address that the gateway sees")
	f.StringVar(&o.Interface, "interface", "", "send the address of the interface `NAME`")
	f.StringVar(&o.File, "file", "", "send the addresses in the file `PATH`")
	f.StringArrayVar(&o.Offers, "offer", nil, "an `ADDRESS` to send where push.conf says \"address argument\" (\"peer\": what the gateway sees); may be repeated")
	f.StringVar(&o.On, "on", "", "an event on this `INTERFACE`: nothing to do where push.conf takes the address from another one")
	f.BoolVar(&o.Offline, "offline", false, "take the hosts' addresses away")
	f.StringVar(&do, "acme", "", "`add` or del: set or remove a TXT value of an ACME challenge; NAME and VALUE follow")
	f.BoolVar(&o.Force, "force", false, "send even what was acknowledged lately")
	f.BoolVar(&o.DryRun, "dry-run", false, "ask the gateway what it would do")
	f.BoolVar(&o.Watch, "watch", false, "push whenever the addresses change, until SIGTERM")
	f.BoolVar(&o.Agent, "agent", false, "sign with the agent at $SSH_AUTH_SOCK")
	f.BoolVar(&o.Detach, "detach", false, "return at once, go on in the background")
	f.StringVar(&o.Retry, "retry", "", "go on trying for `SECONDS`")
	f.BoolVarP(&talk.Verbose, "verbose", "v", false, "say more")
	f.BoolVarP(&talk.Quiet, "quiet", "q", false, "say nothing")
	c.MarkFlagsMutuallyExclusive("peer", "interface", "file")
	c.MarkFlagsMutuallyExclusive("offline", "acme")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := pushArguments(f, &o, do, args); err != nil {
			return &exit{exUsage, err}
		}
		return runPush(c, o, &talk)
	}
	return c
}

// pushArguments adds what stands behind the options.
func pushArguments(f *pflag.FlagSet, o *push.Options, do string, args []string) error {
	empty := ""
	f.Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" {
			empty = f.Name
		}
	})
	switch {
	case empty != "":
		return fmt.Errorf("--%s needs a value", empty)
	case f.Changed("acme") && len(args) != 2:
		return errors.New("--acme needs add or del, a name and a value")
	case f.Changed("acme"):
		o.ACME = append([]string{do}, args...)
		return nil
	}
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			return fmt.Errorf("%q stands behind an address; options come first", a)
		}
	}
	o.Addresses = args
	return nil
}

func runPush(c *cobra.Command, o push.Options, talk *push.Talk) error {
	ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	talk.Out, talk.Err = c.OutOrStdout(), c.ErrOrStderr()
	talk.Service = o.Watch
	talk.Verbose = talk.Verbose || !o.Watch && isTerminal(os.Stderr)
	err := push.Run(ctx, o, talk)
	var f *push.Fault
	if !errors.As(err, &f) {
		return err
	}
	if f.Err != nil {
		talk.Error(f.Err)
	}
	return &exit{f.Status, nil}
}

// isTerminal reports whether a person may be reading.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
