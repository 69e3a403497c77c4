//go:build client

// Command dnsgate, built with -tags client, is the client alone: small enough
// for routers, and without the gateway's libraries.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"dnsgate/internal/sysexits"

	"github.com/spf13/pflag"
)

func main() { os.Exit(run(os.Args[1:])) }

const clientHelp = `usage: dnsgate push [OPTIONS] [ADDRESS...]
       dnsgate version
       dnsgate help

`

// run runs one command line and returns its exit status.
func run(args []string) int {
	if len(args) == 0 {
		return report(&exit{sysexits.Usage, errors.New("a command is missing; there is push, version, help")})
	}
	switch args[0] {
	case "push":
		return report(clientPush(args[1:]))
	case "version", "--version", "-v":
		fmt.Printf("dnsgate %s\n", version())
		return 0
	case "help", "--help", "-h":
		f := pflag.NewFlagSet("push", pflag.ContinueOnError)
		new(pushCall).flags(f)
		fmt.Print(clientHelp, pushHelp, "\n\n", f.FlagUsages())
		return 0
	}
	return report(&exit{sysexits.Usage, fmt.Errorf("there is no command %q; there is push, version, help", args[0])})
}

func clientPush(args []string) error {
	p, f := new(pushCall), pflag.NewFlagSet("push", pflag.ContinueOnError)
	p.flags(f)
	f.Usage = func() { run([]string{"help"}) }
	switch err := f.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return nil
	case err != nil:
		return &exit{sysexits.Usage, fmt.Errorf("%w; see dnsgate help", err)}
	}
	return p.run(context.Background(), f, f.Args())
}
