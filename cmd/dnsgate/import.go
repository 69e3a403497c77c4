//go:build linux && !client

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"dnsgate/internal/migrate"
	"dnsgate/internal/publish/rfc2136"
	"dnsgate/internal/records"
	"dnsgate/internal/sysexits"

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
    dnsgate import zone ZONE@SERVER [HOST...]
                                         a zone, or these hosts of it, by AXFR
    dnsgate import hostkeys FILE         hostnames, TTLs and shared keys

The addresses come to standard output, as dnsgate restore takes them. What to
write into dnsgate.toml and authorized_keys, and what was left out, comes to
standard error; a secret is never printed. Of hostkeys, which has no addresses, the templates come to
standard output.`,
		Args: arguments(2, -1),
	}
	secretFile := c.Flags().String("tsig-secret-file", "", "`FILE` with the key for the transfer: a key statement, or a secret in base64")
	name := c.Flags().String("tsig-name", "", "the key's `NAME`, where the file has none")
	algorithm := c.Flags().String("tsig-algorithm", "", "its `ALGORITHM`, where the file has none (default hmac-sha256)")
	c.RunE = func(c *cobra.Command, args []string) error {
		key := migrate.Key{File: *secretFile}
		if *secretFile != "" {
			var err error
			if key.Name, key.Algorithm, key.Secret, err = rfc2136.ReadTSIG(*secretFile, *name, *algorithm); err != nil {
				return &exit{sysexits.Config, err}
			}
		}
		found, err := readSetup(c.Context(), args, key)
		if err != nil {
			return err
		}
		return printSetup(found, args[0], c.OutOrStdout(), c.ErrOrStderr())
	}
	return c
}

func readSetup(ctx context.Context, args []string, key migrate.Key) (*migrate.Setup, error) {
	kind, source, names := args[0], args[1], args[2:]
	if len(names) > 0 && kind != "rewrite" && kind != "zone" {
		return nil, &exit{sysexits.Usage, fmt.Errorf("only import rewrite and import zone take hosts")}
	}
	var found *migrate.Setup
	hosts, err := parseNames(names)
	if err != nil {
		return nil, &exit{sysexits.Usage, err}
	}
	switch kind {
	case "hosts":
		found, err = migrate.HostFiles(source)
	case "section":
		found, err = migrate.Section(source)
	case "rewrite":
		if len(hosts) == 0 {
			return nil, &exit{sysexits.Usage, fmt.Errorf("import rewrite needs the hosts whose lines are to be read")}
		}
		found, err = migrate.Lines(source, hosts)
	case "zone":
		zone, server, ok := strings.Cut(source, "@")
		if !ok {
			return nil, &exit{sysexits.Usage, fmt.Errorf("%q is not ZONE@SERVER, such as dyn.example.com@127.0.0.1:53", source)}
		}
		if found, err = migrate.Zone(ctx, server, zone, key); err == nil && len(hosts) > 0 {
			found.Only(hosts, source)
		}
	case "hostkeys":
		found, err = migrate.Hostkeys(source)
	default:
		return nil, &exit{sysexits.Usage, fmt.Errorf("there is no import %s; see dnsgate import --help", kind)}
	}
	return found, importError(kind, err)
}

// importError tells a source that cannot be read from one with bad content.
func importError(kind string, err error) error {
	var path *fs.PathError
	switch {
	case err == nil:
		return nil
	case kind == "zone":
		return &exit{sysexits.Unavailable, err}
	case errors.As(err, &path):
		return &exit{sysexits.IO, err}
	}
	return &exit{sysexits.Data, err}
}

func parseNames(words []string) (names []records.Name, err error) {
	for _, w := range words {
		name, err := records.ParseName(w)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// printSetup prints the machine's part to out, and the person's to about.
func printSetup(found *migrate.Setup, kind string, out, about io.Writer) error {
	for _, remark := range found.Remarks {
		fmt.Fprintln(about, remark)
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
