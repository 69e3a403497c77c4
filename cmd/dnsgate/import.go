package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"dnsgate/internal/migrate"
	"dnsgate/internal/records"

	"github.com/spf13/cobra"
)

func importCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "import KIND SOURCE [HOST...]",
		Short: "Read an existing set-up, and print what to put where",
		Long: `Read an existing set-up, and print what to put where. Nothing is changed.

    dnsgate import hosts FOLDER          one tinydns-data file per host
    dnsgate import section DATA          the lines between the markers of a data file
    dnsgate import rewrite DATA HOST...  the + and = lines of these hosts
    dnsgate import zone ZONE@SERVER      a zone, by AXFR
    dnsgate import hostkeys FILE         hostnames, TTLs and shared keys

The addresses come to standard output, as dnsgate restore takes them. What to
write into dnsgate.toml and authorized_keys, and what was left out, comes to
standard error. Of hostkeys, which has no addresses, the templates come to
standard output.`,
		Args: arguments(2, -1),
	}
	name := c.Flags().String("tsig-name", "", "`NAME` of the key for the transfer")
	algorithm := c.Flags().String("tsig-algorithm", "hmac-sha256", "its `ALGORITHM`")
	secretFile := c.Flags().String("tsig-secret-file", "", "`FILE` of its secret, in base64")
	c.RunE = func(c *cobra.Command, args []string) error {
		key := migrate.Key{Name: *name, Algorithm: *algorithm}
		if *secretFile != "" {
			secret, err := os.ReadFile(*secretFile)
			if err != nil {
				return &exit{exIO, err}
			}
			key.Secret = strings.TrimSpace(string(secret))
		}
		found, err := readSetup(args, key)
		if err != nil {
			return err
		}
		return tell(found, args[0], c.OutOrStdout(), c.ErrOrStderr())
	}
	return c
}

func readSetup(args []string, key migrate.Key) (*migrate.Setup, error) {
	kind, source, names := args[0], args[1], args[2:]
	if len(names) > 0 && kind != "rewrite" {
		return nil, &exit{exUsage, fmt.Errorf("only import rewrite takes hosts")}
	}
	var found *migrate.Setup
	var err error
	switch kind {
	case "hosts":
		found, err = migrate.HostFiles(source)
	case "section":
		found, err = migrate.Section(source)
	case "rewrite":
		var hosts []records.Name
		if hosts, err = parseNames(names); err != nil {
			return nil, &exit{exUsage, err}
		}
		found, err = migrate.Lines(source, hosts)
	case "zone":
		zone, server, ok := strings.Cut(source, "@")
		if !ok {
			return nil, &exit{exUsage, fmt.Errorf("%q is not ZONE@SERVER, such as dyn.example.com@127.0.0.1:53", source)}
		}
		found, err = migrate.Zone(server, zone, key)
	case "hostkeys":
		found, err = migrate.Hostkeys(source)
	default:
		return nil, &exit{exUsage, fmt.Errorf("there is no import %s; see dnsgate import --help", kind)}
	}
	if err != nil {
		return nil, &exit{exData, err}
	}
	return found, nil
}

func parseNames(words []string) (names []records.Name, err error) {
	for _, w := range words {
		name, err := records.ParseName(w)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		err = fmt.Errorf("import rewrite needs the hosts whose lines are to be read")
	}
	return names, err
}

// tell prints the machine's part to out, and the person's to about.
func tell(found *migrate.Setup, kind string, out, about io.Writer) error {
	for _, line := range found.LeftOut {
		fmt.Fprintln(about, line)
	}
	if kind == "hostkeys" {
		return found.WriteTemplates(out)
	}
	fmt.Fprintf(about, "\n# into dnsgate.toml, in place of its [tinydns] if that is what this is:\n%s", found.Config)
	fmt.Fprintf(about, "\n# into authorized_keys, with each host's public key:\n")
	if err := found.WriteTemplates(about); err != nil {
		return err
	}
	fmt.Fprintf(about, "\n# standard output is for: dnsgate restore\n")
	return found.WriteBackup(out, time.Now())
}
