// Package algorithms says how SSH keys may prove themselves: never with SHA-1.
package algorithms

import (
	"fmt"

	"golang.org/x/crypto/ssh"
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
