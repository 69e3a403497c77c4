package etcd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// StartSecure starts one node that takes only clients with certificates of its
// own authority; etcdctl is then root. Certificate makes some.
func StartSecure(t testing.TB, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{dir: t.TempDir(), ctl: Tool(t, "etcdctl")}
	c.authority(t)
	cert, key := c.Certificate(t, "node")
	args = append(args, "--client-cert-auth", "--trusted-ca-file="+c.CA(), "--cert-file="+cert, "--key-file="+key)
	cert, key = c.Certificate(t, "root")
	c.flags = []string{"--cacert=" + c.CA(), "--cert=" + cert, "--key=" + key}
	c.start(t, "https", 1, args...)
	return c
}

// CA is the path of the authority's certificate.
func (c *Cluster) CA() string { return filepath.Join(c.dir, "ca.pem") }

func (c *Cluster) authority(t testing.TB) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, c.CA(), "CERTIFICATE", der)
	writeKey(t, filepath.Join(c.dir, "ca.key"), key)
}

// Certificate makes one for a user of etcd's of this name, and its key.
func (c *Cluster) Certificate(t testing.TB, name string) (cert, key string) {
	t.Helper()
	ca, err := x509.ParseCertificate(readPEM(t, c.CA()))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := x509.ParseECPrivateKey(readPEM(t, filepath.Join(c.dir, "ca.key")))
	if err != nil {
		t.Fatal(err)
	}
	own := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, own.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(c.dir, name+".pem"), filepath.Join(c.dir, name+".key")
	writePEM(t, cert, "CERTIFICATE", der)
	writeKey(t, key, own)
	return cert, key
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writeKey(t testing.TB, path string, key *ecdsa.PrivateKey) {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, path, "EC PRIVATE KEY", der)
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readPEM(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	return block.Bytes
}
