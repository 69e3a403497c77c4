// Package algorithms says how SSH keys may prove themselves: never with SHA-1.
package algorithms

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// of are the algorithms of a type of key, the best first.
func of(kind string) []string {
	switch kind {
	case ssh.KeyAlgoRSA, ssh.CertAlgoRSAv01:
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{kind}
}

// Limit returns a signer that uses no other algorithms.
func Limit(key ssh.Signer) (ssh.MultiAlgorithmSigner, error) {
	signer, ok := key.(ssh.AlgorithmSigner)
	if !ok {
		return nil, fmt.Errorf("key %s cannot choose its algorithm", ssh.FingerprintSHA256(key.PublicKey()))
	}
	return ssh.NewSignerWithAlgorithms(signer, of(key.PublicKey().Type()))
}

// Pinned are the algorithms of the keys that known, made by knownhosts, has for a server.
// Asked for others, the server would prove a key that is not known.
func Pinned(known ssh.HostKeyCallback, server string, remote net.Addr) (list []string) {
	var mismatch *knownhosts.KeyError
	if errors.As(known(server, remote, noKey{}), &mismatch) {
		for _, pin := range mismatch.Want {
			list = append(list, of(pin.Key.Type())...)
		}
	}
	return list
}

// noKey is a key that no server has.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.ErrUnsupported }
