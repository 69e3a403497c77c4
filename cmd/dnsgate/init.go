//go:build linux && !client

package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"dnsgate/internal/config"
	"dnsgate/internal/durable"
	"dnsgate/internal/sysexits"

	"github.com/spf13/cobra"
	gossh "golang.org/x/crypto/ssh"
)

func initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Make a folder with a configuration, a host key and a tinydns root",
		Long: `Make DIR with a commented dnsgate.toml, an ed25519 host key, an authorized_keys
with examples, and a tinydns root. What is there already is never changed.
Prints the host key's fingerprint, the line for the clients' known_hosts, and
the SSHFP records for the name server.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			s := newSetup(args[0])
			if err := s.make(c.OutOrStdout()); err != nil {
				return &exit{sysexits.IO, err}
			}
			return s.announce(c.OutOrStdout())
		},
	}
}

// setup is a folder of a gateway's files.
type setup struct {
	dir    string
	config []byte
	keys   []byte // authorized_keys
	data   []byte // root/data
}

func newSetup(dir string) *setup {
	return &setup{dir: dir, config: config.Template(), keys: []byte(exampleKeys), data: []byte(exampleData)}
}

const (
	configName  = "dnsgate.toml"
	hostKeyName = "ssh_host_ed25519_key"
	keysName    = "authorized_keys"
)

const exampleKeys = `# Who may update what, in OpenSSH's format; a change takes effect at once.
# Add a key with:  dnsgate key add --config dnsgate.toml home.example.com < id_ed25519.pub
# or by hand, one line a key, without the # in front:
#
# command="dnsgate allow home.example.com nas.example.com" ssh-ed25519 AAAA... router
# restrict,command="dnsgate allow --ttl=60 --acme laptop.example.com",from="198.51.100.0/24" ssh-ed25519 AAAA... laptop
# command="dnsgate allow .lab.example.com",expiry-time="20271231Z" ecdsa-sha2-nistp256 AAAA... dhcp server
# command="dnsgate admin" sk-ssh-ed25519@openssh.com AAAA... operator
`

const exampleData = `# The lines of tinydns-data that you write; dnsgate never changes this file.
# Its own lines go into the file dnsgate beside it, and both into data.cdb.
#
# .example.com:192.0.2.53:a
# +www.example.com:192.0.2.80
`

// make makes what is missing, and tells out.
func (s *setup) make(out io.Writer) error {
	root := filepath.Join(s.dir, "root")
	for _, dir := range []string{s.dir, root} {
		if err := makeFolder(dir); err != nil {
			return err
		}
	}
	hostKey, err := newPrivateKey("dnsgate host key")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name    string
		content []byte
		mode    os.FileMode
	}{
		{configName, s.config, 0o644},
		{hostKeyName, hostKey, 0o600},
		{keysName, s.keys, 0o644},
		{filepath.Join("root", "data"), s.data, 0o644},
	} {
		path := filepath.Join(s.dir, f.name)
		made, err := makeFile(path, f.content, f.mode)
		if err != nil {
			return err
		}
		verb := "kept"
		if made {
			verb = "made"
		}
		fmt.Fprintf(out, "%s %s\n", verb, path)
	}
	return nil
}

// makeFolder makes a folder that only its owner can write to, whatever the umask:
// dnsgate refuses keys that others could have changed.
func makeFolder(path string) error {
	err := os.Mkdir(path, 0o755)
	if errors.Is(err, os.ErrExist) {
		info, err := os.Stat(path)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a folder", path)
		}
		return err
	}
	if err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// makeFile makes a file, unless it exists.
func makeFile(path string, content []byte, mode os.FileMode) (made bool, err error) {
	if _, err := os.Lstat(path); err == nil {
		return false, nil
	}
	return true, durable.WriteFile(path, content, mode)
}

// newPrivateKey makes an ed25519 key in OpenSSH's format.
func newPrivateKey(comment string) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := gossh.MarshalPrivateKey(private, comment)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}

// announce prints the data that clients and the name server need, and the next steps.
func (s *setup) announce(out io.Writer) error {
	cfg, err := loadConfig(filepath.Join(s.dir, configName))
	if err != nil {
		return err
	}
	signer, err := loadHostKey(filepath.Join(s.dir, hostKeyName))
	if err != nil {
		return &exit{sysexits.Config, err}
	}
	fmt.Fprintln(out)
	writeHostKeys(out, portOf(cfg.Listen), []string{hostKeyName}, []gossh.PublicKey{signer.PublicKey()})
	fmt.Fprintf(out, "\nnext:\n  write your zone into %[2]s, or tinydns answers nothing: .example.com:192.0.2.53:a\n"+
		"  dnsgate key add --config %[1]s home.example.com < id_ed25519.pub\n  dnsgate check --config %[1]s\n  dnsgate serve --config %[1]s\n",
		shellQuote(filepath.Join(s.dir, configName)), filepath.Join(s.dir, "root", "data"))
	return nil
}

// sshEscape keeps ssh from finding tokens in a path (ssh_config(5), TOKENS).
func sshEscape(path string) string { return strings.ReplaceAll(path, "%", "%%") }

// sshQuote quotes a path for an option of ssh that takes several.
func sshQuote(path string) string {
	path = sshEscape(path)
	if !strings.ContainsAny(path, " \t\"\\'#") {
		return path
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"`
}

// shellQuote quotes s for a POSIX shell, where it needs it.
func shellQuote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:@,%"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
