package authkeys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

var testNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// Public keys that nobody has the private ones of.
const (
	keyA   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzVxSJpUvJ0lJVHeSG5LrCCmGhbWhEPzVKd6YnbVhKq"
	keyB   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHLzYVv0T6c3mXcVYQYy5TIm0XqPvDd0Zc6j3t3X2C1V"
	header = `command="dnsgate allow home.example.com" `
)

func mustKey(t testing.TB, text string) ssh.PublicKey {
	t.Helper()
	key, _, err := ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// numberedKey is the public key text of an Ed25519 key that holds n.
func numberedKey(n int) string {
	var raw [ed25519.PublicKeySize]byte
	binary.BigEndian.PutUint64(raw[:], uint64(n))
	key, err := ssh.NewPublicKey(ed25519.PublicKey(raw[:]))
	if err != nil {
		panic(err)
	}
	return publicText(key)
}

func publicText(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// wireText is the text of a key with the given fields, which need not be good.
func wireText(kind string, fields ...[]byte) string {
	return publicText(rawKey{kind, fields})
}

type rawKey struct {
	kind   string
	fields [][]byte
}

func (k rawKey) Type() string { return k.kind }
func (k rawKey) Marshal() []byte {
	wire := ssh.Marshal(struct{ Kind string }{k.kind})
	for _, f := range k.fields {
		wire = append(wire, ssh.Marshal(struct{ F []byte }{f})...)
	}
	return wire
}
func (k rawKey) Verify([]byte, *ssh.Signature) error { return fmt.Errorf("not a key") }

func generate(t testing.TB, kind string) string {
	t.Helper()
	var private crypto.Signer
	var err error
	switch kind {
	case "rsa1024":
		t.Setenv("GODEBUG", "rsa1024min=0")
		private, err = rsa.GenerateKey(rand.Reader, 1024)
	case "rsa2048":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ecdsa256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ecdsa521":
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	}
	must(t, err)
	key, err := ssh.NewPublicKey(private.Public())
	must(t, err)
	return publicText(key)
}

func skEd25519() string {
	return wireText(ssh.KeyAlgoSKED25519, make([]byte, 32), []byte("ssh:"))
}

func skECDSA(t testing.TB) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	point, err := private.PublicKey.Bytes()
	must(t, err)
	return wireText(ssh.KeyAlgoSKECDSA256, []byte("nistp256"), point, []byte("ssh:"))
}

// needs skips the test without a program, and fails it where CI promises one.
func needs(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}
