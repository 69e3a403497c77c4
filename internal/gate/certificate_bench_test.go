package gate_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// cpuTime is what this process has had of the processors.
func cpuTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkLogin logs clients of a fleet of 100,000 in, which the file knows by a
// line each, or by one line for the CA of their certificates. It counts the
// client's work too, which is the same but for a certificate's few hundred bytes.
func BenchmarkLogin(b *testing.B) {
	const fleet, clients = 100_000, 1000
	ca := newKey(b)
	plain, certified := make([]gossh.Signer, clients), make([]gossh.Signer, clients)
	for i := range plain {
		plain[i] = newKey(b)
		cert := &gossh.Certificate{
			Key: plain[i].PublicKey(), CertType: gossh.UserCert, KeyId: fmt.Sprintf("client %d", i), Serial: uint64(i),
			ValidPrincipals: []string{fmt.Sprintf("h%d.example.com", i)}, ValidBefore: gossh.CertTimeInfinity,
		}
		if err := cert.SignCert(rand.Reader, ca); err != nil {
			b.Fatal(err)
		}
		signer, err := gossh.NewCertSigner(cert, plain[i])
		if err != nil {
			b.Fatal(err)
		}
		certified[i] = signer
	}
	lines := make([]string, 0, fleet)
	for i := range fleet {
		if i < clients {
			lines = append(lines, grant(plain[i], fmt.Sprintf("h%d.example.com", i)))
			continue
		}
		var raw [ed25519.PublicKeySize]byte
		binary.BigEndian.PutUint64(raw[:], uint64(i))
		key, err := gossh.NewPublicKey(ed25519.PublicKey(raw[:]))
		if err != nil {
			b.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("command=\"dnsgate allow h%d.example.com\" %s", i, gossh.MarshalAuthorizedKey(key)))
	}
	authority := "cert-authority," + grant(ca, ".example.com")
	for name, c := range map[string]struct {
		lines   []string
		clients []gossh.Signer
	}{"plain": {lines, plain}, "certified": {[]string{authority}, certified}} {
		b.Run(name, func(b *testing.B) {
			g := open(b)
			g.authorize(strings.TrimSpace(strings.Join(c.lines, "")))
			content, err := os.ReadFile(g.keysFile)
			if err != nil {
				b.Fatal(err)
			}
			time.Sleep(2 * time.Second) // the watcher has read the file too
			heap := g.use().heap - g.before.heap
			i, before := 0, cpuTime(b)
			for b.Loop() {
				client, err := g.dial(c.clients[i%clients])
				if err != nil {
					b.Fatal(err)
				}
				client.Close()
				i++
			}
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
			runtime.KeepAlive(g.keys)
			b.ReportMetric(float64(len(content))/1e6, "MB-of-file")
			b.ReportMetric(float64(heap)/1e6, "MB-of-heap")
		})
	}
}
