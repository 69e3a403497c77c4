// A client of dnsgate with golang.org/x/crypto/ssh: GATE PORT KEY KNOWN_HOSTS
// WORD... The KEY "agent" stands for the keys of ssh-agent.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
)

func main() {
	if len(os.Args) < 6 {
		fmt.Fprintln(os.Stderr, "usage: xcrypto GATE PORT KEY KNOWN_HOSTS WORD...")
		os.Exit(64)
	}
	err := run(net.JoinHostPort(os.Args[1], os.Args[2]), os.Args[3], os.Args[4], os.Args[5:])
	var exit *ssh.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitStatus() > 0:
		os.Exit(exit.ExitStatus())
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(255)
	}
}

func run(address, key, knownHosts string, words []string) error {
	pinned, err := knownhosts.New(knownHosts)
	if err != nil {
		return err
	}
	auth, err := identity(key)
	if err != nil {
		return err
	}
	client, err := ssh.Dial("tcp", address, &ssh.ClientConfig{
		User:              "dnsgate",
		Auth:              []ssh.AuthMethod{auth},
		HostKeyCallback:   pinned,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
		Timeout:           10 * time.Second,
	})
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	session.Stdout, session.Stderr = os.Stdout, os.Stderr
	return session.Run(strings.Join(words, " "))
}

func identity(key string) (ssh.AuthMethod, error) {
	if key == "agent" {
		conn, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
		if err != nil {
			return nil, err
		}
		return ssh.PublicKeysCallback(agent.NewClient(conn).Signers), nil
	}
	pem, err := os.ReadFile(key)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(pem)
	return ssh.PublicKeys(signer), err
}
