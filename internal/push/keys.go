package push

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"dnsgate/internal/algorithms"
	"dnsgate/internal/sysexits"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
)

// pins are the gateway's keys in known_hosts.
type pins struct {
	known      ssh.HostKeyCallback
	name       string   // that the keys stand under, with a port
	algorithms []string // that those keys can be proven by
}

func readPins(c Config) (*pins, error) {
	text, err := readTrusted(c.KnownHosts)
	if err != nil {
		return nil, err
	}
	isKey := func(line string) bool { line = strings.TrimSpace(line); return line != "" && line[0] != '#' }
	if !slices.ContainsFunc(strings.Split(string(text), "\n"), isKey) {
		return nil, failure(sysexits.Config, "%s: empty; add the known_hosts line that \"dnsgate init\" printed", c.KnownHosts)
	}
	known, err := knownhosts.New(c.KnownHosts)
	if err != nil {
		return nil, failure(sysexits.Config, "%w", err)
	}
	// Port 22 stands for a name without a port, as in ssh(1): an alias has
	// none, and the gateway's name counts without it too.
	names := []string{net.JoinHostPort(c.Gateway, strconv.Itoa(c.Port)), net.JoinHostPort(c.Gateway, "22")}
	if c.HostKeyAlias != "" {
		names = []string{net.JoinHostPort(c.HostKeyAlias, "22")}
	}
	for _, name := range names {
		if list := algorithms.Pinned(known, name, noAddress{}); list != nil {
			return &pins{known, name, list}, nil
		}
	}
	return nil, failure(sysexits.Config, "%s: no key for %s; add the known_hosts line that \"dnsgate init\" printed",
		c.KnownHosts, knownhosts.Normalize(names[0]))
}

func (p *pins) check(key ssh.PublicKey) error {
	if err := p.known(p.name, noAddress{}, key); err != nil {
		return fmt.Errorf("it is %s: %w", ssh.FingerprintSHA256(key), err)
	}
	return nil
}

// noAddress stands for the address of a gateway in what knownhosts is asked.
type noAddress struct{}

func (noAddress) Network() string { return "" }
func (noAddress) String() string  { return "none:22" }

// readKeys reads a private key that nobody else may read, and has it behind its
// certificate where there is one.
func readKeys(path string) ([]ssh.Signer, error) {
	text, err := readTrusted(path)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err != nil || othersMay(info, 0o077) {
		return nil, failure(sysexits.Config, "%s: others may read it; chmod go= %s", path, path)
	}
	if !strings.HasPrefix(string(text), "----") {
		return nil, failure(sysexits.Config, "%s: not a private key in OpenSSH's format", path)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if locked := (*ssh.PassphraseMissingError)(nil); errors.As(err, &locked) {
		return nil, failure(sysexits.Config, "%s: needs a passphrase; use a key without one, or ssh-add it and push with --agent", path)
	}
	if err != nil {
		return nil, failure(sysexits.Config, "%s: %w", path, err)
	}
	if signer, err = modern(signer); err != nil {
		return nil, failure(sysexits.Config, "%s: %w", path, err)
	}
	certified, err := certify(signer, path)
	if err != nil || certified == nil {
		return []ssh.Signer{signer}, err
	}
	return []ssh.Signer{certified, signer}, nil
}

const minRSA = 2048 // bits

// modern returns a signer that never signs with SHA-1.
func modern(signer ssh.Signer) (ssh.Signer, error) {
	key, err := ssh.ParsePublicKey(signer.PublicKey().Marshal()) // an agent's is opaque
	if err != nil {
		return nil, err
	}
	switch key = certifiedKey(key); key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return signer, nil
	case ssh.KeyAlgoRSA:
		if key.(ssh.CryptoPublicKey).CryptoPublicKey().(*rsa.PublicKey).N.BitLen() < minRSA {
			return nil, fmt.Errorf("an RSA key of less than %d bits", minRSA)
		}
		return algorithms.Limit(signer)
	default:
		return nil, fmt.Errorf("the gateway accepts no key of type %s", key.Type())
	}
}

// signers returns the keys to log in with.
func (k *client) signers(ctx context.Context, end time.Time) ([]ssh.Signer, error) {
	if !k.agent {
		return k.keys, nil
	}
	conn, err := (&net.Dialer{Deadline: end}).DialContext(ctx, "unix", os.Getenv("SSH_AUTH_SOCK"))
	if err != nil {
		return nil, fmt.Errorf("asking the agent: %w", err)
	}
	conn.SetDeadline(end)
	context.AfterFunc(ctx, func() { conn.Close() })
	all, err := agent.NewClient(conn).Signers()
	if err != nil {
		return nil, fmt.Errorf("asking the agent: %w", err)
	}
	wanted, _, _, _, _ := ssh.ParseAuthorizedKey(publicKey(k.conf.Key))
	var signers []ssh.Signer
	for _, s := range all {
		if wanted != nil && !isFor(s, wanted) {
			continue
		}
		if s, err := modern(s); err == nil {
			signers = append(signers, s)
		}
	}
	if signers == nil {
		return nil, fmt.Errorf("%w: the agent holds no key for it", errNoLogin)
	}
	return signers, nil
}

// publicKey returns the public half of a key file, if it stands beside it: of
// the agent's keys, then only that one is offered.
func publicKey(path string) []byte {
	text, err := readTrusted(path + ".pub")
	if err != nil {
		return nil
	}
	return text
}
