package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"dnsgate/internal/push"
	"dnsgate/internal/sysexits"

	"github.com/spf13/pflag"
)

const pushHelp = `Tell a gateway which addresses this machine has now, as push.conf says: see
dnsgate-push(1) and dnsgate-push.conf(5). It does what the script dnsgate-push
does, and needs neither ssh nor a shell. Options stand before addresses, and "--"
before words that come from elsewhere.

    dnsgate push                                as push.conf says
    dnsgate push 203.0.113.7 2001:db8::7        these addresses
    dnsgate push --watch                        now, and whenever they change
    dnsgate push --offline                      take the addresses away
    dnsgate push --acme add home.example.com VALUE`

// pushCall is one call of push: what its flags say.
type pushCall struct {
	options push.Options
	talk    push.Talk
	acme    string
}

// flags adds the flags of push to f.
func (p *pushCall) flags(f *pflag.FlagSet) {
	o := &p.options
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
	f.StringVar(&p.acme, "acme", "", "`add` or del: set or remove a TXT value of an ACME challenge; NAME and VALUE follow")
	f.BoolVar(&o.Force, "force", false, "send even what was acknowledged lately")
	f.BoolVar(&o.DryRun, "dry-run", false, "ask the gateway what it would do")
	f.BoolVar(&o.Watch, "watch", false, "push whenever the addresses change, until SIGTERM")
	f.BoolVar(&o.Agent, "agent", false, "sign with the agent at $SSH_AUTH_SOCK")
	f.BoolVar(&o.Detach, "detach", false, "return at once, go on in the background")
	f.StringVar(&o.Retry, "retry", "", "go on trying for `SECONDS`")
	f.BoolVarP(&p.talk.Verbose, "verbose", "v", false, "say more")
	f.BoolVarP(&p.talk.Quiet, "quiet", "q", false, "say nothing")
}

// run pushes, once f is parsed and args are what stands behind the flags.
func (p *pushCall) run(ctx context.Context, f *pflag.FlagSet, args []string) error {
	if err := p.arguments(f, args); err != nil {
		return &exit{sysexits.Usage, err}
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	p.talk.Out, p.talk.Err = os.Stdout, os.Stderr
	p.talk.Service = p.options.Watch
	p.talk.Verbose = p.talk.Verbose || !p.options.Watch && isTerminal(os.Stderr)
	err := push.Run(ctx, p.options, &p.talk)
	var failed *push.Failure
	if !errors.As(err, &failed) {
		return err
	}
	if failed.Err != nil {
		p.talk.Error(failed.Err)
	}
	return &exit{failed.Status, nil}
}

// arguments checks which flags stand together, and adds what stands behind
// them.
func (p *pushCall) arguments(f *pflag.FlagSet, args []string) error {
	o := &p.options
	empty := ""
	f.Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" {
			empty = f.Name
		}
	})
	switch {
	case empty != "":
		return fmt.Errorf("--%s needs a value", empty)
	case moreThanOne(f, "peer", "interface", "file"):
		return errors.New("only one of --peer, --interface and --file")
	case moreThanOne(f, "offline", "acme"):
		return errors.New("only one of --offline and --acme")
	case f.Changed("acme") && len(args) != 2:
		return errors.New("--acme needs add or del, a name and a value")
	case f.Changed("acme"):
		o.ACME = append([]string{p.acme}, args...)
		return nil
	}
	for _, a := range args {
		if f.ArgsLenAtDash() < 0 && len(a) > 1 && a[0] == '-' {
			return fmt.Errorf("%q stands behind an address; options come first", a)
		}
	}
	o.Addresses = args
	return nil
}

// moreThanOne reports whether more than one of the flags was given.
func moreThanOne(f *pflag.FlagSet, names ...string) bool {
	given := 0
	for _, name := range names {
		if f.Changed(name) {
			given++
		}
	}
	return given > 1
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
