package gate_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/gate"

	gossh "golang.org/x/crypto/ssh"
)

// fleet is a gateway, and a folder where ssh-keygen makes keys and certificates
// for OpenSSH's client.
type fleet struct {
	*gateway
	dir     string
	revoked string // the file of revoked keys
}

func newFleet(t *testing.T) *fleet {
	for _, program := range []string{"ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	f := &fleet{dir: t.TempDir()}
	f.revoked = filepath.Join(f.dir, "revoked_keys")
	if err := os.WriteFile(f.revoked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	revoked, err := authkeys.OpenRevoked(f.revoked, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(revoked.Close)
	f.gateway = open(t, func(o *gate.Options) {
		guard := &authkeys.Guard{Keys: o.Keys.(*authkeys.File)}
		guard.Revoked.Store(revoked)
		o.Keys = guard
	})
	for _, ca := range []string{"ca", "rogue"} {
		f.keygen("-q", "-t", "ed25519", "-N", "", "-f", ca)
	}
	f.keygen("-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "rsaca")
	return f
}

func (f *fleet) keygen(args ...string) {
	f.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Dir = f.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		f.Fatalf("ssh-keygen %q: %v\n%s", args, err, out)
	}
}

func (f *fleet) read(name string) string {
	f.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		f.Fatal(err)
	}
	return string(text)
}

// authority is the line for a CA.
func (f *fleet) authority(ca, hosts string) string {
	return fmt.Sprintf("cert-authority,command=\"dnsgate allow %s\" %s", hosts, f.read(ca+".pub"))
}

// client makes a key with a certificate of ca.
func (f *fleet) client(name, ca string, args ...string) {
	f.Helper()
	f.keygen("-q", "-t", "ed25519", "-N", "", "-f", name)
	f.keygen(append(append([]string{"-q", "-s", ca}, args...), name+".pub")...)
}

// ssh runs a command as OpenSSH's client does; its exit status is 255 if it was not
// let in. Words may begin with options.
func (f *fleet) ssh(name string, words ...string) (string, int) {
	f.Helper()
	host, port, _ := net.SplitHostPort(f.addr)
	known := fmt.Sprintf("gate %s", gossh.MarshalAuthorizedKey(f.hostKey.PublicKey()))
	if err := os.WriteFile(filepath.Join(f.dir, "known_hosts"), []byte(known), 0o600); err != nil {
		f.Fatal(err)
	}
	cmd := exec.Command("ssh", append([]string{
		"-F", "none", "-i", name, "-p", port, "-o", "HostKeyAlias=gate", "-o", "UserKnownHostsFile=known_hosts",
		"-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "CASignatureAlgorithms=+ssh-rsa", "-l", "nobody", host}, words...)...)
	cmd.Dir = f.dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		f.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// signer is the key of that name, with its certificate.
func (f *fleet) signer(name string) (gossh.Signer, *gossh.Certificate) {
	f.Helper()
	plain, err := gossh.ParsePrivateKey([]byte(f.read(name)))
	if err != nil {
		f.Fatal(err)
	}
	key, _, _, _, err := gossh.ParseAuthorizedKey([]byte(f.read(name + "-cert.pub")))
	if err != nil {
		f.Fatal(err)
	}
	signer, err := gossh.NewCertSigner(key.(*gossh.Certificate), plain)
	if err != nil {
		f.Fatal(err)
	}
	return signer, key.(*gossh.Certificate)
}

// TestCertified lets OpenSSH's client in with certificates; what it does is told
// with the key, the certificate's id and its serial.
func TestCertified(t *testing.T) {
	f := newFleet(t)
	f.client("laptop", "ca", "-I", `lab "laptop" 7`, "-z", "4711", "-n", "laptop.lab.example.com,root,www.example.com")
	f.keygen("-q", "-t", "ed25519", "-N", "", "-f", "plain")
	f.keygen("-q", "-s", "ca", "-I", "both", "-n", "both.lab.example.com", "plain.pub")
	f.authorize(f.authority("ca", ".lab.example.com"), fmt.Sprintf("command=\"dnsgate allow plain.example.com\" %s", f.read("plain.pub")))

	if out, status := f.ssh("laptop", "update", "203.0.113.1"); status != 0 || out != "good 203.0.113.1 laptop.lab.example.com\n" {
		t.Errorf("%d %s", status, out)
	}
	if out, status := f.ssh("laptop", "update", "other.lab.example.com", "203.0.113.1"); status != 77 {
		t.Errorf("another's host: %d %s", status, out)
	}
	_, cert := f.signer("laptop")
	fingerprint := gossh.FingerprintSHA256(cert.Key)
	if out, _ := f.ssh("laptop", "history"); !strings.Contains(out, " "+fingerprint+";serial=4711;id=lab%20\"laptop\"%207 127.0.0.1") {
		t.Errorf("history: %s", out)
	}
	if out, _ := f.ssh("laptop", "whoami"); !strings.Contains(out, fingerprint) || !strings.Contains(out, `certificate "lab \"laptop\" 7", serial 4711`) {
		t.Errorf("whoami: %s", out)
	}
	if want := "key=" + fingerprint + ` comment=`; !strings.Contains(f.log.String(), want) || !strings.Contains(f.log.String(), `certificate="lab \"laptop\" 7" serial=4711 `) {
		t.Errorf("the log has no %s:\n%s", want, f.log)
	}

	// A key that has a line too is one or the other, as its client says.
	for way, own := range map[string]string{gossh.CertAlgoED25519v01: "both.lab.example.com", gossh.KeyAlgoED25519: "plain.example.com"} {
		for _, host := range []string{"both.lab.example.com", "plain.example.com"} {
			want := map[bool]int{true: 0, false: 77}[host == own]
			if out, status := f.ssh("plain", "-o", "PubkeyAcceptedAlgorithms="+way, "update", host, "203.0.113.1"); status != want {
				t.Errorf("%s by %s: %d %s", host, way, status, out)
			}
		}
	}
	// The CA's own key is nobody's.
	if out, status := f.ssh("ca", "whoami"); status != 255 {
		t.Errorf("%d %s", status, out)
	}
	f.recovered()
}

// TestRefusedCertificates makes OpenSSH's client, and one that does not mind what
// it offers, try certificates that must not let them in; the log says why.
func TestRefusedCertificates(t *testing.T) {
	f := newFleet(t)
	f.keygen("-q", "-t", "ed25519", "-N", "", "-f", "plainca")
	f.authorize(f.authority("ca", ".lab.example.com"), f.authority("rsaca", ".lab.example.com"),
		fmt.Sprintf("command=\"dnsgate allow .lab.example.com\" %s", f.read("plainca.pub")))
	const name = "a.lab.example.com"
	for i, test := range []struct {
		ca, why string
		args    []string
	}{
		{"ca", "it names no principal", nil},
		{"ca", "for none of its principals", []string{"-n", "nobody"}},
		{"ca", "not a user's certificate", []string{"-h", "-n", name}},
		{"ca", "has expired", []string{"-n", name, "-V", "20200101:20200102"}},
		{"ca", "it is not valid before", []string{"-n", name, "-V", "20900101:20900102"}},
		{"ca", `force-command`, []string{"-n", name, "-O", "force-command=whoami"}},
		{"ca", `x@example.com`, []string{"-n", name, "-O", "critical:x@example.com"}},
		{"ca", "is not in its source-address", []string{"-n", name, "-O", "source-address=192.0.2.0/24"}},
		{"ca", "longer than 6144 bytes", []string{"-n", name + strings.Repeat(","+strings.Repeat("x", 200), 30)}},
		{"rsaca", `has signed with`, []string{"-t", "ssh-rsa", "-n", name}},
		{"rogue", "the key is not authorized", []string{"-n", name}},
		{"plainca", "the key is not authorized", []string{"-n", name}},
	} {
		client := "client" + strconv.Itoa(i)
		f.client(client, test.ca, append([]string{"-I", client}, test.args...)...)
		for way, in := range map[string]func() bool{
			"ssh": func() bool {
				_, status := f.ssh(client, "whoami")
				return status != 255
			},
			"a client that does not mind": func() bool {
				f.log.Reset()
				signer, _ := f.signer(client)
				client, err := f.dial(signer)
				if err == nil {
					client.Close()
				}
				return err == nil
			},
		} {
			if in() {
				t.Errorf("%s is let in: %s %q", way, test.ca, test.args)
			}
			if way != "ssh" {
				f.refusedFor(test.why)
			}
		}
	}
	f.recovered()
}

// refusedFor waits for the log to say that a key was refused, and why; the gateway may write
// it when the client has gone.
func (g *gateway) refusedFor(why string) {
	parts := []string{"key refused", why}
	g.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		for line := range strings.Lines(g.log.String()) {
			found := true
			for _, part := range parts {
				found = found && strings.Contains(line, part)
			}
			if found {
				return
			}
		}
		if time.Now().After(end) {
			g.Errorf("the log never has a line with %q:\n%s", parts, g.log)
			return
		}
	}
}

// TestForgedLogins offers what neither OpenSSH nor x/crypto would make.
func TestForgedLogins(t *testing.T) {
	f := newFleet(t)
	f.authorize(f.authority("ca", ".lab.example.com"))
	f.client("laptop", "ca", "-I", "laptop", "-n", "laptop.lab.example.com")
	_, good := f.signer("laptop")
	own, err := gossh.ParsePrivateKey([]byte(f.read("laptop")))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := gossh.ParsePrivateKey([]byte(f.read("ca")))
	if err != nil {
		t.Fatal(err)
	}
	signed := func(change func(c *gossh.Certificate)) *gossh.Certificate {
		c := *good
		change(&c)
		if err := c.SignCert(rand.Reader, ca); err != nil {
			t.Fatal(err)
		}
		return &c
	}
	forged := *good
	forged.ValidPrincipals = []string{"other.lab.example.com"}
	nested := good.Marshal() // its CA's key becomes a certificate
	blob := gossh.Marshal(struct{ K []byte }{good.SignatureKey.Marshal()})
	nested = []byte(strings.Replace(string(nested), string(blob), string(gossh.Marshal(struct{ K []byte }{good.Marshal()})), 1))
	const certType = gossh.CertAlgoED25519v01
	for _, test := range []struct {
		name, algorithm string
		blob            []byte
		by              gossh.Signer
		in              bool
	}{
		{"good", certType, good.Marshal(), own, true},
		{"100 principals", certType, signed(func(c *gossh.Certificate) { c.ValidPrincipals = principals(100) }).Marshal(), own, true},
		{"10,000 principals", certType, signed(func(c *gossh.Certificate) { c.ValidPrincipals = principals(10_000) }).Marshal(), own, false},
		{"signed by another key than the certified one", certType, good.Marshal(), newKey(t), false},
		{"signed by the CA's key", certType, good.Marshal(), ca, false},
		{"other principals than the CA has signed", certType, forged.Marshal(), own, false},
		{"a nested certificate", certType, nested, own, false},
		{"as a plain key", gossh.KeyAlgoED25519, good.Marshal(), own, false},
		{"a plain key as a certificate", certType, own.PublicKey().Marshal(), own, false},
		{"cut off", certType, good.Marshal()[:100], own, false},
	} {
		c := dialAuth(t, f.addr)
		kind, err := c.sign("root", "root", test.algorithm, test.blob, signWith(test.by))
		if in := err == nil && kind == 52; in != test.in {
			t.Errorf("%s: message %d, %v", test.name, kind, err)
		}
		c.Close()
	}
	// A query for a certificate, then a login with a plain key that is in no line.
	c := dialAuth(t, f.addr)
	c.query("root", certType, good.Marshal())
	if kind, err := c.sign("root", "root", gossh.KeyAlgoED25519, own.PublicKey().Marshal(), signWith(own)); err == nil && kind == 52 {
		t.Error("the certified key logs in without its certificate")
	}
	c.Close()
	f.recovered()
}

func principals(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("h%d.lab.example.com", i)
	}
	return names
}

// TestTouchOfCertificates logs in with a security key's certificate.
func TestTouchOfCertificates(t *testing.T) {
	f := newFleet(t)
	ca, err := gossh.ParsePrivateKey([]byte(f.read("ca")))
	if err != nil {
		t.Fatal(err)
	}
	sk := newSecurityKey(t)
	for _, test := range []struct {
		line, cert bool // no-touch-required
		flags      byte
		in         bool
	}{
		{false, false, 1, true}, {false, false, 0, false},
		{true, false, 1, true}, {true, false, 0, false},
		{false, true, 0, false},
		{true, true, 1, true}, {true, true, 0, true},
	} {
		cert := &gossh.Certificate{Key: sk.public, CertType: gossh.UserCert, ValidPrincipals: []string{"a.lab.example.com"}, ValidBefore: gossh.CertTimeInfinity}
		if test.cert {
			cert.Extensions = map[string]string{"no-touch-required": ""}
		}
		if err := cert.SignCert(rand.Reader, ca); err != nil {
			t.Fatal(err)
		}
		line := f.authority("ca", ".lab.example.com")
		if test.line {
			line = "no-touch-required," + line
		}
		f.authorize(line)
		sk.flags = test.flags
		c := dialAuth(t, f.addr)
		c.query("root", gossh.CertAlgoSKED25519v01, cert.Marshal())
		kind, err := c.sign("root", "root", gossh.CertAlgoSKED25519v01, cert.Marshal(), sk.sign)
		if in := err == nil && kind == 52; in != test.in {
			t.Errorf("%+v: message %d, %v", test, kind, err)
		}
		c.Close()
	}
	f.recovered()
}

// TestRevokedInSession takes a certificate's grant away, in every way, below open
// connections: the next command a second later is refused.
func TestRevokedInSession(t *testing.T) {
	f := newFleet(t)
	line := f.authority("ca", ".lab.example.com")
	fingerprint := func(name string) string {
		key, _, _, _, err := gossh.ParseAuthorizedKey([]byte(f.read(name)))
		if err != nil {
			t.Fatal(err)
		}
		return gossh.FingerprintSHA256(key)
	}
	f.client("laptop", "ca", "-I", "the id", "-n", "laptop.lab.example.com")
	f.client("other", "ca", "-I", "another id", "-n", "other.lab.example.com")
	write := func(text string) func() {
		return func() {
			if err := os.WriteFile(f.revoked, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name   string
		take   func()
		others bool // keep theirs
	}{
		{"its key", write(f.read("laptop.pub")), true},
		{"its fingerprint", write(fingerprint("laptop.pub")), true},
		{"its id", write("id:the id\n"), true},
		{"its CA", write(f.read("ca.pub")), false},
		{"its CA's fingerprint", write(fingerprint("ca.pub")), false},
		{"the CA's line", func() { f.write(grant(f.owner, "home.example.com")) }, false},
		{"the line's hosts", func() { f.write(grant(f.owner, "home.example.com"), f.authority("ca", "other.lab.example.com")) }, true},
	} {
		write("")()
		f.authorize(line)
		laptop, _ := f.signer("laptop")
		other, _ := f.signer("other")
		var a, b *gossh.Client
		f.until(test.name+": both are let in", func() (ok bool) { // what revoked the last ones may last for a moment
			var errA, errB error
			if a, errA = f.dial(laptop); errA != nil {
				return false
			}
			if b, errB = f.dial(other); errB != nil {
				a.Close()
			}
			return errB == nil
		})
		f.expect(a, "update 203.0.113.1", " 203.0.113.1 laptop.lab.example.com\n")
		f.expect(b, "update 203.0.113.1", " 203.0.113.1 other.lab.example.com\n")
		began := time.Now()
		test.take()
		f.until(test.name+" is taken away", func() bool {
			out, _, err := run(a, "update 203.0.113.2")
			if err != nil {
				t.Fatal(err)
			}
			return strings.HasPrefix(out, "nohost ")
		})
		t.Logf("%s: refused after %v", test.name, time.Since(began).Round(time.Millisecond))
		if test.others {
			f.expect(b, "list", "other.lab.example.com. ")
		} else {
			f.until(test.name+" is taken from others too", func() bool {
				out, _, _ := run(b, "list")
				return strings.HasPrefix(out, "nohost ")
			})
		}
		a.Close()
		b.Close()
	}
	write("")()
	f.authorize(line)
	f.recovered()
}

// until waits for what must come to be, generously.
func (g *gateway) until(what string, is func() bool) {
	g.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			g.Fatalf("never: %s", what)
		}
	}
}
