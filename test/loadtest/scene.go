package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"

	gossh "golang.org/x/crypto/ssh"
)

// scene is what all servers find alike: hosts that change, each with a key of
// its own, among static names and keys that nobody uses.
type scene struct {
	folder  string
	signers []gossh.Signer // of host 0, 1, ...
	static  int            // names
	unused  int            // keys
	wide    bool           // each key may change all hosts, not only its own
	address *atomic.Uint32 // the last one given out
}

func newScene(folder string, names, static, unused int) (*scene, error) {
	s := &scene{folder: folder, static: static, unused: unused, address: new(atomic.Uint32)}
	s.address.Store(11 << 24)
	for i := range names {
		signer, err := s.newKey(i)
		if err != nil {
			return nil, err
		}
		s.signers = append(s.signers, signer)
	}
	return s, nil
}

// newKey makes a client's key, in a file for ssh too.
func (s *scene) newKey(i int) (gossh.Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.keyFile(i), pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return gossh.NewSignerFromKey(private)
}

func (s *scene) keyFile(i int) string { return filepath.Join(s.folder, fmt.Sprintf("client%d", i)) }

const zone = "dyn.example.com"

func hostName(i int) string { return fmt.Sprintf("host%d.%s", i, zone) }

// nextAddress is one that no host has had before.
func (s *scene) nextAddress() string {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, s.address.Add(1)))).String()
}

// authorizedKeys writes the file: each host's key with the command forced, the
// unused ones evenly between them.
func (s *scene) authorizedKeys(path, command string) error {
	all := ""
	if s.wide {
		all = " ." + zone
	}
	return writeFile(path, 0o600, func(w *bufio.Writer) {
		for i, signer := range s.signers {
			for range s.unused / len(s.signers) {
				s.unusedKey(w, command)
			}
			fmt.Fprintf(w, "restrict,command=\"%s %s%s\" %s", command, hostName(i), all, gossh.MarshalAuthorizedKey(signer.PublicKey()))
		}
	})
}

// unusedKey writes a line with a key that nobody has the private part of.
func (s *scene) unusedKey(w io.Writer, command string) {
	public := make(ed25519.PublicKey, ed25519.PublicKeySize)
	rand.Read(public)
	key, _ := gossh.NewPublicKey(public)
	fmt.Fprintf(w, "restrict,command=\"%s unused%x.%s\" %s", command, public[:6], zone, gossh.MarshalAuthorizedKey(key))
}

// staticData writes the operator's lines of tinydns-data.
func (s *scene) staticData(path string) error {
	return writeFile(path, 0o644, func(w *bufio.Writer) {
		fmt.Fprintf(w, ".%s::ns.example.com\n", zone)
		for i := range s.static {
			fmt.Fprintf(w, "+static%d.example.com:192.0.2.%d:3600\n", i, i%250)
		}
	})
}

// dynamicData writes a first line for each host.
func (s *scene) dynamicData(path string) error {
	return writeFile(path, 0o644, func(w *bufio.Writer) {
		for i := range s.signers {
			fmt.Fprintf(w, "+%s:192.0.2.1:300\n", hostName(i))
		}
	})
}

func writeFile(path string, mode os.FileMode, write func(*bufio.Writer)) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	write(w)
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// hostKey makes a server's key and returns its path.
func hostKey(folder string) (string, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "ssh_host_ed25519_key")
	return path, os.WriteFile(path, pem.EncodeToMemory(block), 0o600)
}
