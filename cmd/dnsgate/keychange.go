//go:build linux && !client

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/sysexits"

	"github.com/spf13/cobra"
	gossh "golang.org/x/crypto/ssh"
)

const aboutWhich = `WHICH is a fingerprint, a comment or a hostname that the lines of one key alone
have, or the key's file, which ends in .pub.`

func keyReplaceCommand(configFile *string) *cobra.Command {
	return &cobra.Command{
		Use: "replace WHICH < new.pub", Short: "Give the grant of a key to another key", Args: arguments(1, 1),
		Long: `Put the public key on standard input in the place of another: it may do the same,
from the next second on, and the old key nothing. ` + aboutWhich,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(*configFile)
			if err != nil {
				return err
			}
			which, err := whichKey(args[0])
			if err != nil {
				return err
			}
			key, comment, err := readKey(c.InOrStdin(), stdin, "dnsgate key replace WHICH < new.pub")
			if err != nil {
				return err
			}
			before, after, err := authkeys.Replace(cfg.AuthorizedKeys, which, key, comment)
			if err != nil {
				return cannotChange(err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s\nin place of %s\n", describe(after), before.Fingerprint)
			return err
		},
	}
}

func keyRemoveCommand(configFile *string) *cobra.Command {
	return &cobra.Command{
		Use: "remove WHICH", Short: "Remove a key's line", Args: arguments(1, 1),
		Long: "Remove a key's line: it may do nothing more from the next second on. " + aboutWhich,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(*configFile)
			if err != nil {
				return err
			}
			which, err := whichKey(args[0])
			if err != nil {
				return err
			}
			removed, err := authkeys.Remove(cfg.AuthorizedKeys, which)
			if err != nil {
				return cannotChange(err)
			}
			for _, g := range removed {
				fmt.Fprintf(c.OutOrStdout(), "removed %s %s\n", g.Fingerprint, cmp.Or(g.Comment, "-"))
			}
			return nil
		},
	}
}

// whichKey is what authkeys understands of WHICH: of a .pub file, its key's
// fingerprint.
func whichKey(which string) (string, error) {
	if !strings.HasSuffix(which, ".pub") {
		return which, nil
	}
	f, err := os.Open(which)
	if errors.Is(err, os.ErrNotExist) && !strings.Contains(which, "/") {
		return which, nil // a comment may end so
	}
	if err != nil {
		return "", &exit{sysexits.IO, err}
	}
	defer f.Close()
	key, _, err := readKey(f, which, which)
	if err != nil {
		return "", err
	}
	return gossh.FingerprintSHA256(key), nil
}

// cannotChange adds the exit status to an error of an edit.
func cannotChange(err error) error {
	if errors.Is(err, authkeys.ErrUnknown) {
		err = fmt.Errorf("%w; see dnsgate key list", err)
	}
	var file *os.PathError
	if errors.As(err, &file) {
		return &exit{sysexits.IO, err}
	}
	return &exit{sysexits.Data, err}
}
