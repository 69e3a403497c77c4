//go:build linux && !client

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/sysexits"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// addBatch is "key add --batch": it adds the keys of standard input, each for the
// hosts of its own line and with the flags of the command line.
func addBatch(c *cobra.Command, configFile string, flags *pflag.FlagSet, hosts []string) error {
	switch {
	case len(hosts) > 0:
		return &exit{sysexits.Usage, fmt.Errorf("--batch goes with no host: each line of standard input has its own")}
	case flags.Changed("admin") || flags.Changed("monitor") || flags.Changed("follow"):
		return &exit{sysexits.Usage, errors.New("--batch goes with the flags of allow alone")}
	}
	cfg, err := loadConfig(configFile)
	if err != nil {
		return err
	}
	lines, err := readBatch(c.InOrStdin(), func(hosts []string) (authkeys.Grant, error) {
		return grantOf(flags, hosts)
	})
	if err != nil {
		return err
	}
	added, err := authkeys.Add(cfg.AuthorizedKeys, lines...)
	if err != nil {
		return &exit{sysexits.Data, err}
	}
	out := bufio.NewWriter(c.OutOrStdout())
	for _, g := range added {
		fmt.Fprintln(out, describe(g))
	}
	return out.Flush()
}

// maxBatchFaults is how many wrong lines of a batch are reported.
const maxBatchFaults = 20

// readBatch reads lines of HOST[,HOST...] TYPE BASE64 [COMMENT]; its error has the
// exit status, and names every line that is wrong, or the first of many.
func readBatch(in io.Reader, grantFor func(hosts []string) (authkeys.Grant, error)) (lines []authkeys.NewLine, err error) {
	var faults []error
	scanner, number := bufio.NewScanner(in), 0
	scanner.Buffer(nil, authkeys.MaxLine)
	for scanner.Scan() && len(faults) < maxBatchFaults {
		number++
		text := strings.Trim(scanner.Text(), " \t\r")
		if text == "" || text[0] == '#' {
			continue
		}
		at := fmt.Sprintf("%s:%d", stdin, number)
		line, err := batchLine(text, grantFor)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", at, err))
		}
		lines = append(lines, authkeys.NewLine{Text: line, At: at})
	}
	switch err := scanner.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		faults = append(faults, fmt.Errorf("%s:%d: longer than %d bytes", stdin, number+1, authkeys.MaxLine))
	case err != nil:
		return nil, &exit{sysexits.IO, fmt.Errorf("reading the keys: %w", err)}
	}
	if len(faults) == 0 && len(lines) == 0 {
		faults = append(faults, fmt.Errorf("%s: it holds no line; give one for each key: HOST[,HOST...] TYPE BASE64 [COMMENT]", stdin))
	}
	if len(faults) > 0 {
		return nil, &exit{sysexits.Data, errors.Join(append(faults, errors.New("nothing was added"))...)}
	}
	return lines, nil
}

func batchLine(text string, grantFor func(hosts []string) (authkeys.Grant, error)) (string, error) {
	hosts, key := text, ""
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		hosts, key = text[:i], text[i:]
	}
	words := strings.Split(hosts, ",")
	if slices.ContainsFunc(words, func(w string) bool { return w == "" || w[0] == '-' }) {
		return "", fmt.Errorf("%q is not HOST[,HOST...]; a line is HOST[,HOST...] TYPE BASE64 [COMMENT]", hosts)
	}
	public, comment, err := authkeys.ParseKey(key)
	if err != nil {
		return "", err
	}
	grant, err := grantFor(words)
	if err != nil {
		return "", err
	}
	grant.Comment = comment
	return authkeys.FormatLine(grant, public), nil
}
