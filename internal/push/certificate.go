package push

import (
	"bytes"
	"errors"
	"io/fs"
	"os"

	"dnsgate/internal/sysexits"

	"golang.org/x/crypto/ssh"
)

// certify adds to key the certificate beside its file, where ssh(1) looks for it
// too. It returns nil if no certificate is there.
func certify(key ssh.Signer, path string) (ssh.Signer, error) {
	path += "-cert.pub"
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	text, err := readTrusted(path)
	if err != nil {
		return nil, err
	}
	parsed, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil, failure(sysexits.Config, "%s: not a certificate as ssh-keygen -s makes it", path)
	}
	cert, ok := parsed.(*ssh.Certificate)
	if !ok {
		return nil, failure(sysexits.Config, "%s: a plain key, not a certificate", path)
	}
	certified, err := ssh.NewCertSigner(cert, key)
	if err != nil {
		return nil, failure(sysexits.Config, "%s: certifies another key", path)
	}
	return certified, nil
}

// certifiedKey is key, or the one that it certifies.
func certifiedKey(key ssh.PublicKey) ssh.PublicKey {
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return key
}

// isFor reports whether signer has key, or a certificate for it.
func isFor(signer ssh.Signer, key ssh.PublicKey) bool {
	has, err := ssh.ParsePublicKey(signer.PublicKey().Marshal()) // an agent's is opaque
	return err == nil && bytes.Equal(certifiedKey(has).Marshal(), key.Marshal())
}
