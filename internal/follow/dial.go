package follow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"dnsgate/internal/algorithms"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

const dialTimeout = 10 * time.Second

// Dialer logs in to gateways whose host keys it knows.
type Dialer struct {
	Key        ssh.Signer
	KnownHosts string // path of an OpenSSH known_hosts file, read at each login
}

// Run logs in at address and runs a command there. The result ends with ctx.
func (d Dialer) Run(ctx context.Context, address, command string) (io.ReadWriteCloser, error) {
	known, err := knownhosts.New(d.KnownHosts)
	if err != nil {
		return nil, fmt.Errorf("reading known_hosts: %w", err)
	}
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(dialTimeout))
	sc, channels, requests, err := ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		User: "dnsgate", Auth: []ssh.AuthMethod{ssh.PublicKeys(d.Key)},
		HostKeyCallback: known, HostKeyAlgorithms: algorithms.Pinned(known, address, conn.RemoteAddr()),
	})
	if err != nil {
		stop()
		conn.Close()
		return nil, fmt.Errorf("logging in at %s: %w", address, explainHostKey(err, d.KnownHosts))
	}
	conn.SetDeadline(time.Time{})
	client := ssh.NewClient(sc, channels, requests)
	s, err := begin(client, command)
	if err != nil {
		stop()
		client.Close()
		return nil, fmt.Errorf("asking %s: %w", address, err)
	}
	s.stop = stop
	return s, nil
}

func begin(client *ssh.Client, command string) (*session, error) {
	s, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	in, err := s.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &session{out, in, client, nil}, s.Start(command)
}

// session is a command's output and input.
type session struct {
	io.Reader
	io.Writer
	client *ssh.Client
	stop   func() bool
}

func (s *session) Close() error { s.stop(); return s.client.Close() }

func explainHostKey(err error, file string) error {
	var wrong *knownhosts.KeyError
	switch {
	case errors.As(err, &wrong) && len(wrong.Want) == 0:
		return fmt.Errorf("%s has no line for this gateway; put there what \"dnsgate hostkey\" prints on it", file)
	case errors.As(err, &wrong):
		return fmt.Errorf("it proved another host key than %s has: that of an impostor, or a new one", file)
	case strings.Contains(err.Error(), "unable to authenticate"):
		return errors.New("it does not let this key in")
	}
	return err
}
