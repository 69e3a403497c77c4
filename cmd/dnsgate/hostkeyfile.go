//go:build linux && !client

package main

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"dnsgate/internal/algorithms"
	"dnsgate/internal/config"

	gossh "golang.org/x/crypto/ssh"
)

// loadHostKeys reads the server's private keys. A key file that is missing, empty or
// readable by others is an error, and is never replaced.
func loadHostKeys(paths []string) ([]gossh.Signer, error) {
	var signers []gossh.Signer
	for _, path := range paths {
		signer, err := loadHostKey(path)
		if err != nil {
			return nil, err
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

// idleHostKeys says which keys do not prove the gateway yet, because an earlier key has
// their type. Signers are those of cfg.HostKeys, nil where one could not be read.
func idleHostKeys(cfg *config.Config, signers []gossh.Signer) (idle []string) {
	first := make(map[string]string) // path, by type
	for i, path := range cfg.HostKeys {
		if signers[i] == nil {
			continue
		}
		kind := signers[i].PublicKey().Type()
		if proves, ok := first[kind]; ok {
			idle = append(idle, fmt.Sprintf("%s: %s does not prove this gateway: %s, before it, has the same type, %s, and clients are shown that one; they may learn this one",
				cfg.Places.Of(fmt.Sprintf("host_keys[%d]", i)), path, proves, kind))
			continue
		}
		first[kind] = path
	}
	return idle
}

func loadHostKey(path string) (gossh.Signer, error) {
	signer, err := readHostKey(path)
	if errors.Is(err, errFolder) {
		return nil, fmt.Errorf("%s: host key: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s:1: host key: %w", path, err)
	}
	return signer, nil
}

var errFolder = errors.New("this is a folder, not a file")

func readHostKey(path string) (gossh.Signer, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO is not waited for
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no such file; make one with: dnsgate hostkey new %s", shellQuote(path))
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errFolder
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("mode %v lets others than its owner at it; run: chmod 600 %s", mode, path)
	}
	pem, err := io.ReadAll(io.LimitReader(f, 1<<16))
	if err != nil {
		return nil, err
	}
	return parseHostKey(pem)
}

func parseHostKey(pem []byte) (gossh.Signer, error) {
	if len(pem) == 0 {
		return nil, errors.New("the file is empty")
	}
	raw, err := gossh.ParseRawPrivateKey(pem)
	var locked *gossh.PassphraseMissingError
	if errors.As(err, &locked) {
		return nil, errors.New("it has a passphrase; a server's key must not")
	}
	if err != nil {
		return nil, errors.New("not a private key in OpenSSH's or PEM format")
	}
	if k, ok := raw.(*rsa.PrivateKey); ok && k.N.BitLen() < 2048 {
		return nil, fmt.Errorf("an RSA key of %d bits; 2048 are the least", k.N.BitLen())
	}
	signer, err := gossh.NewSignerFromKey(raw)
	if err != nil {
		return nil, err
	}
	return algorithms.Limit(signer)
}
