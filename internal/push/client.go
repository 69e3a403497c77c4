package push

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"dnsgate/internal/sysexits"

	"golang.org/x/crypto/ssh"
)

const (
	maxCommand   = 4096 // bytes, as the gateway has it
	replyTimeout = 30 * time.Second
)

// The algorithms that a gateway offers.
var (
	keyExchanges = []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519}
	ciphers      = []string{ssh.CipherChaCha20Poly1305, ssh.CipherAES256GCM, ssh.CipherAES128GCM}
	macs         = []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM}
)

// client connects to one gateway.
type client struct {
	conf  Config
	pins  *pins
	keys  []ssh.Signer // nil: the agent's
	agent bool
}

// newClient reads known_hosts and the key. The error is a *Failure.
func newClient(c Config, agent bool) (*client, error) {
	pins, err := readPins(c)
	if err != nil {
		return nil, err
	}
	k := &client{conf: c, pins: pins, agent: agent}
	if !agent {
		k.keys, err = readKeys(c.Key)
	} else if os.Getenv("SSH_AUTH_SOCK") == "" {
		err = failure(sysexits.Config, "--agent: SSH_AUTH_SOCK does not say where the agent is")
	}
	return k, err
}

// reply is what the gateway answered.
type reply struct {
	status         int
	stdout, stderr string
}

// run runs a remote command. What the server says is bounded in size and in
// time; the error tells why there is no reply.
func (k *client) run(ctx context.Context, way family, command string) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, k.conf.ConnectTimeout+replyTimeout)
	defer cancel()
	connection, err := k.connect(ctx, way)
	if err != nil {
		return reply{}, err
	}
	defer connection.Close()
	session, err := connection.NewSession()
	if err != nil {
		return reply{}, fmt.Errorf("opening a session: %w", err)
	}
	var tooLong atomic.Bool
	full := func() { tooLong.Store(true); connection.Close() }
	stdout, stderr := &bounded{full: full}, &bounded{full: full}
	session.Stdout, session.Stderr = stdout, stderr
	end := time.Now().Add(replyTimeout)
	err = session.Run(command)
	answer := reply{stdout: stdout.String(), stderr: stderr.String()}
	var exit *ssh.ExitError
	switch {
	case tooLong.Load():
		return answer, errTooLong
	case errors.As(err, &exit):
		answer.status = exit.ExitStatus()
		return answer, nil
	case err != nil && !time.Now().Before(end):
		return answer, os.ErrDeadlineExceeded // the library only sees a connection that ended
	}
	return answer, err
}

// connect logs in. A server that is slow to do so is given up after the
// connect timeout; the connection ends with ctx in any case.
func (k *client) connect(ctx context.Context, way family) (*ssh.Client, error) {
	network := map[family]string{4: "tcp4", 6: "tcp6", anyFamily: "tcp"}[way]
	address := net.JoinHostPort(k.conf.Gateway, strconv.Itoa(k.conf.Port))
	end := time.Now().Add(k.conf.ConnectTimeout)
	signers, err := k.signers(ctx, end)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{Deadline: end}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	conn.SetDeadline(end)
	attempt := &login{pins: k.pins}
	sshConn, channels, requests, err := ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: keyExchanges, Ciphers: ciphers, MACs: macs},
		User:              k.conf.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signers...)},
		HostKeyCallback:   attempt.checkHostKey,
		HostKeyAlgorithms: k.pins.algorithms,
		ClientVersion:     "SSH-2.0-dnsgate",
	})
	if err != nil {
		conn.Close()
		return nil, attempt.explain(err)
	}
	conn.SetDeadline(time.Now().Add(replyTimeout)) // for all that follows
	return ssh.NewClient(sshConn, channels, requests), nil
}

// Errors of a login that trying again does not mend.
var (
	errHostKey = errors.New("the host key is not the pinned one")
	errNoLogin = errors.New("it does not accept the key")
)

// login is one attempt to log in.
type login struct {
	pins     *pins
	hostKey  error
	verified bool
}

func (l *login) checkHostKey(_ string, _ net.Addr, key ssh.PublicKey) error {
	l.hostKey = l.pins.check(key)
	l.verified = l.hostKey == nil
	return l.hostKey
}

// explain wraps err so that it says what failed. The library tells a refused
// key in words only.
func (l *login) explain(err error) error {
	var negotiation *ssh.AlgorithmNegotiationError
	switch {
	case l.hostKey != nil:
		return fmt.Errorf("%w: %w", errHostKey, l.hostKey)
	case errors.As(err, &negotiation) && negotiation.What == "host key":
		return fmt.Errorf("%w: %w", errHostKey, err)
	case l.verified && strings.Contains(err.Error(), "unable to authenticate"):
		return fmt.Errorf("%w: %w", errNoLogin, err)
	}
	return err
}
