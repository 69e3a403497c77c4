package control

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

// ErrNoUserAuth is returned by FromSSHD if sshd does not say which key was proven.
var ErrNoUserAuth = errors.New(`sshd does not say which key was proven; set "ExposeAuthInfo yes" in sshd_config`)

// FromSSHD is the request of a client of OpenSSH's sshd, which has run this process as
// the forced command of the proven key. getenv is like os.Getenv (sshd(8),
// "ENVIRONMENT").
func FromSSHD(forced string, getenv func(string) string) (Request, error) {
	req := Request{Forced: forced, Command: getenv("SSH_ORIGINAL_COMMAND")}
	req.Shell = req.Command == ""
	from, _, _ := strings.Cut(getenv("SSH_CONNECTION"), " ")
	addr, err := netip.ParseAddr(from)
	if err != nil {
		return req, errors.New("this is a forced command of OpenSSH's sshd, and SSH_CONNECTION is not set")
	}
	req.From = addr.WithZone("").String()
	path := getenv("SSH_USER_AUTH")
	if path == "" {
		return req, ErrNoUserAuth
	}
	key, err := provenKey(path)
	if err != nil {
		return req, err
	}
	if cert, ok := key.(*ssh.Certificate); ok {
		key, req.Certificate = cert.Key, cert.Marshal()
	}
	req.Key = ssh.FingerprintSHA256(key)
	return req, nil
}

// provenKey reads the file that SSH_USER_AUTH names: a line for each method
// that the client came through, such as "publickey ssh-ed25519 AAAA...".
func provenKey(path string) (ssh.PublicKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading which key was proven: %w", err)
	}
	defer f.Close()
	in := bufio.NewScanner(io.LimitReader(f, 1<<20))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		words := strings.Fields(in.Text())
		if len(words) < 3 || words[0] != "publickey" {
			continue
		}
		blob, err := base64.StdEncoding.DecodeString(words[2])
		if err != nil {
			return nil, fmt.Errorf("reading which key was proven: %w", err)
		}
		key, err := ssh.ParsePublicKey(blob)
		if err != nil {
			return nil, fmt.Errorf("reading which key was proven: %w", err)
		}
		return key, nil
	}
	return nil, errors.New("the client did not come with a key, and dnsgate knows nobody by a password")
}
