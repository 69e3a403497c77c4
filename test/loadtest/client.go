package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// server is a running server and how its clients update a host there.
type server struct {
	*process
	name    string
	address string
	scene   *scene

	// update makes one change, as a client that was not connected before.
	update func(client, host int, address string) error
}

// keyExchange is the one that all clients offer, so that all servers do the
// same work; main's flag sets it before there are any.
var keyExchange = gossh.KeyExchangeCurve25519

func newSSHServer(name string, p *process, s *scene, address string) (*server, error) {
	srv := &server{process: p, name: name, address: address, scene: s}
	srv.update = func(client, host int, address string) error {
		c, err := srv.dial(client, host)
		if err != nil {
			return err
		}
		defer c.Close()
		return expectGood(c, "update "+address)
	}
	_, err := p.await(func() bool {
		nc, err := net.Dial("tcp", address)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	return srv, err
}

// dial logs a client in with a host's key. Each client has an address of its
// own, for servers count connections by source.
func (s *server) dial(client, host int) (*gossh.Client, error) {
	from := net.TCPAddr{IP: net.IPv4(127, 0, byte(1+client/250), byte(1+client%250))}
	dialer := net.Dialer{LocalAddr: &from, Timeout: 10 * time.Second}
	nc, err := dialer.DialContext(context.Background(), "tcp", s.address)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	conn, channels, requests, err := gossh.NewClientConn(nc, s.address, &gossh.ClientConfig{
		Config:            gossh.Config{KeyExchanges: []string{keyExchange}, Ciphers: []string{gossh.CipherChaCha20Poly1305}},
		User:              "root",
		Auth:              []gossh.AuthMethod{gossh.PublicKeys(s.scene.signers[host])},
		HostKeyAlgorithms: []string{gossh.KeyAlgoED25519},
		HostKeyCallback:   gossh.InsecureIgnoreHostKey(), // a server that this process started
	})
	if err != nil {
		nc.Close()
		return nil, err
	}
	return gossh.NewClient(conn, channels, requests), nil
}

func expectGood(c *gossh.Client, command string) error {
	session, err := c.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	var stderr bytes.Buffer
	session.Stderr = &stderr
	out, err := session.Output(command)
	if err != nil || !strings.HasPrefix(string(out), "good") {
		return fmt.Errorf("%s: %q %q, %v", command, out, stderr.String(), err)
	}
	return nil
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // no port left
	}
	defer l.Close()
	return l.Addr().String()
}
