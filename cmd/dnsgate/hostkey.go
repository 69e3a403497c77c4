//go:build linux && !client

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"dnsgate/internal/config"
	"dnsgate/internal/records"
	"dnsgate/internal/sysexits"
	"dnsgate/internal/tinydns"

	"github.com/spf13/cobra"
	gossh "golang.org/x/crypto/ssh"
)

func hostkeyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "hostkey",
		Short: "Print the host keys for clients and name servers, or make one",
		Long: `Print the fingerprint of each host key, the lines for the clients' known_hosts
and the SSHFP records for the name server.`,
		Args: cobra.ArbitraryArgs,
	}
	configFile := c.PersistentFlags().String("config", "/etc/dnsgate/dnsgate.toml", "configuration `FILE`")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return noCommand(c, args)
		}
		cfg, err := loadConfig(*configFile)
		if err != nil {
			return err
		}
		signers, err := loadHostKeys(cfg.HostKeys)
		if err != nil {
			return &exit{sysexits.Config, err}
		}
		keys := make([]gossh.PublicKey, len(signers))
		for i, s := range signers {
			keys[i] = s.PublicKey()
		}
		writeHostKeys(c.OutOrStdout(), portOf(cfg.Listen), cfg.HostKeys, keys)
		return nil
	}
	c.AddCommand(hostkeyNewCommand(configFile))
	return c
}

func hostkeyNewCommand(configFile *string) *cobra.Command {
	return &cobra.Command{
		Use: "new FILE", Short: "Make an ed25519 host key", Args: arguments(1, 1),
		Long: `Make an ed25519 host key in FILE, which must not be there yet. As root, it gets the
owner of the folder state. Name it behind the present one in host_keys and restart:
clients learn it, and when they have, it can stand alone.`,
		RunE: func(c *cobra.Command, args []string) error {
			content, err := newPrivateKey("dnsgate host key")
			if err != nil {
				return &exit{sysexits.Software, err}
			}
			made, err := makeFile(args[0], content, 0o600)
			if err == nil && !made {
				err = fmt.Errorf("%s is there already, and stays as it is", args[0])
			}
			if err != nil {
				return &exit{sysexits.IO, err}
			}
			if cfg, err := config.Load(*configFile); err == nil {
				if err := giveToOwner(args[0], cfg.State); err != nil {
					return &exit{sysexits.IO, err}
				}
			}
			signer, err := readHostKey(args[0])
			if err != nil {
				return &exit{sysexits.IO, fmt.Errorf("%s: %w", args[0], err)}
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "made %s %s\n", args[0], gossh.FingerprintSHA256(signer.PublicKey()))
			return err
		},
	}
}

// giveToOwner gives what root has made to the owner of folder, if there is one.
func giveToOwner(path, folder string) error {
	info, err := os.Stat(folder)
	if os.Geteuid() != 0 || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}

// writeHostKeys prints the data that clients and the name server need about keys. Each
// key stands in the file of the same place.
func writeHostKeys(out io.Writer, port string, files []string, keys []gossh.PublicKey) {
	name := gatewayName()
	fmt.Fprintln(out, "host key fingerprint:")
	for i, key := range keys {
		fmt.Fprintf(out, "  %s %s\n", gossh.FingerprintSHA256(key), files[i])
	}
	fmt.Fprintln(out, "\nfor the clients' known_hosts, with the gateway's name or address:")
	for _, key := range keys {
		fmt.Fprintf(out, "  %s\n", knownHostsLine(name, port, key))
	}
	fmt.Fprintln(out, "\nSSHFP records (RFC 4255) as lines for tinydns-data:")
	for _, key := range keys {
		if line := sshfpLine(name, key); line != "" {
			fmt.Fprintf(out, "  %s\n", line)
		}
	}
}

// gatewayName is this machine's fully qualified name, if it has one.
func gatewayName() string {
	host, err := os.Hostname()
	if err == nil {
		if name, err := records.ParseName(host); err == nil {
			return string(name)
		}
	}
	return "gate.example.com"
}

func portOf(listen []string) string {
	if _, port, err := net.SplitHostPort(listen[0]); err == nil {
		return port
	}
	return "22"
}

// knownHostsLine is a line of known_hosts (sshd(8)).
func knownHostsLine(host, port string, key gossh.PublicKey) string {
	if port != "22" {
		host = "[" + host + "]:" + port
	}
	return host + " " + strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key)))
}

// sshfpAlgorithms are the numbers of key types in SSHFP records (RFC 4255, RFC
// 6594, RFC 7479).
var sshfpAlgorithms = map[string]byte{
	gossh.KeyAlgoRSA:      1,
	gossh.KeyAlgoECDSA256: 3, gossh.KeyAlgoECDSA384: 3, gossh.KeyAlgoECDSA521: 3,
	gossh.KeyAlgoED25519: 4,
}

// sshfpLine is the SSHFP record (type 44) of key with its SHA-256 fingerprint (RFC
// 6594, type 2). It is empty for key types without a number.
func sshfpLine(host string, key gossh.PublicKey) string {
	algorithm, ok := sshfpAlgorithms[key.Type()]
	if !ok {
		return ""
	}
	sum := sha256.Sum256(key.Marshal())
	const kind, sha256Type, day = 44, 2, 86400
	line := tinydns.AppendGeneric(nil, host, kind, append([]byte{algorithm, sha256Type}, sum[:]...), day, 0)
	return strings.TrimSpace(string(line))
}
