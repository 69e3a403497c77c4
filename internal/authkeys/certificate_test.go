package authkeys

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/records"

	"golang.org/x/crypto/ssh"
)

// workshop is a folder in which ssh-keygen makes keys and certificates.
type workshop struct {
	testing.TB
	dir string
}

func newWorkshop(t testing.TB) *workshop {
	needs(t, "ssh-keygen")
	return &workshop{t, t.TempDir()}
}

func (w *workshop) keygen(args ...string) {
	w.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Dir = w.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("ssh-keygen %q: %v\n%s", args, err, out)
	}
}

// key makes a key of that name unless there is one, and returns its public text.
func (w *workshop) key(name string, args ...string) string {
	w.Helper()
	if _, err := os.Stat(filepath.Join(w.dir, name)); err != nil {
		w.keygen(append([]string{"-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name}, args...)...)
	}
	text, err := os.ReadFile(filepath.Join(w.dir, name+".pub"))
	must(w, err)
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(text)), name))
}

// sign has ca certify key.
func (w *workshop) sign(ca, key string, args ...string) *ssh.Certificate {
	w.Helper()
	w.keygen(append(append([]string{"-q", "-s", ca, "-I", "id of " + key}, args...), key+".pub")...)
	text, err := os.ReadFile(filepath.Join(w.dir, key+"-cert.pub"))
	must(w, err)
	public, _, _, _, err := ssh.ParseAuthorizedKey(text)
	must(w, err)
	return public.(*ssh.Certificate)
}

var local = netip.MustParseAddr("192.0.2.1")

// TestCertificates has ssh-keygen make certificates of every kind, and looks up
// what they grant.
func TestCertificates(t *testing.T) {
	w := newWorkshop(t)
	w.key("ca")
	w.key("rsaca", "-t", "rsa", "-b", "2048")
	w.key("ecdsaca", "-t", "ecdsa", "-b", "384")
	w.key("rogue")
	w.key("user")
	w.key("rsa", "-t", "rsa", "-b", "2048")
	w.key("weak", "-t", "rsa", "-b", "1024")
	w.key("dsa", "-t", "dsa")
	w.key("ecdsa", "-t", "ecdsa")
	w.key("plain")
	line := `cert-authority,command="dnsgate allow .lab.example.com *.nas.lab.example.com www.example.com" `
	set, faults := Parse("keys", []byte(strings.Join([]string{
		line + w.key("ca"), line + w.key("rsaca"), line + w.key("ecdsaca"),
		`command="dnsgate allow .lab.example.com" ` + w.key("plain"),
	}, "\n")), testNow)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	n := func(args ...string) []string { return append([]string{"-n", "a.lab.example.com"}, args...) }
	var names []string
	for i := range 101 {
		names = append(names, fmt.Sprintf("h%d.lab.example.com", i))
	}
	hundred, more := strings.Join(names[:100], ","), strings.Join(names, ",")
	long := strings.Repeat(strings.Repeat("x", 60)+".", 3) + "lab.example.com,"
	const refused = ""
	for _, test := range []struct {
		name    string
		ca, key string
		args    []string
		hosts   string // joined by blanks; refused
		why     string // part of the error
	}{
		{"good", "ca", "user", n(), "a.lab.example.com", ""},
		{"good, RSA", "rsaca", "rsa", n("-t", "rsa-sha2-256"), "a.lab.example.com", ""},
		{"good, ECDSA", "ecdsaca", "ecdsa", n(), "a.lab.example.com", ""},
		{"an extension that nobody knows", "ca", "user", n("-O", "extension:x@example.com=y"), "a.lab.example.com", ""},
		{"several, in their order", "ca", "user", []string{"-n", "b.lab.example.com,www.example.com,A.lab.example.com.,b.lab.example.com"},
			"b.lab.example.com www.example.com a.lab.example.com", ""},
		{"others are ignored", "ca", "user", []string{"-n", "root,example.com,a.lab.example.com,www.example.org,.lab.example.com,lab.example.com,*,a b,_acme-challenge.a.lab.example.com"},
			"a.lab.example.com", ""},
		{"a wildcard that the line names", "ca", "user", []string{"-n", "*.nas.lab.example.com"}, "*.nas.lab.example.com", ""},
		{"a wildcard below its suffix", "ca", "user", []string{"-n", "*.a.lab.example.com"}, refused, "for none of its principals"},
		{"no principal", "ca", "user", nil, refused, "it names no principal"},
		{"none of the line's", "ca", "user", []string{"-n", "root,www.example.org,.lab.example.com,lab.example.com"}, refused, "for none of its principals"},
		{"100 principals", "ca", "user", []string{"-n", hundred}, strings.ReplaceAll(hundred, ",", " "), ""},
		{"101 principals", "ca", "user", []string{"-n", more}, refused, "101 principals, more than 100"},
		{"as many principals as ssh-keygen makes", "ca", "user", []string{"-n", "a.lab.example.com" + strings.Repeat(",root", 255)}, refused, "256 principals, more than 100"},
		{"long principals", "ca", "user", []string{"-n", strings.Repeat(long, 30) + "a.lab.example.com"}, refused, "longer than 6144 bytes"},
		{"a host's", "ca", "user", n("-h"), refused, "not a user's certificate"},
		{"expired", "ca", "user", n("-V", "20250101Z:20261121115959Z"), refused, "the key has expired at 2026-11-21T11:59:59Z"},
		{"its last second", "ca", "user", n("-V", "20250101Z:20261121120001Z"), "a.lab.example.com", ""},
		{"not yet valid", "ca", "user", n("-V", "20261121120001Z:20991231Z"), refused, "not valid before 2026-11-21T12:00:01Z"},
		{"its first second", "ca", "user", n("-V", "20261121120000Z:forever"), "a.lab.example.com", ""},
		{"from here", "ca", "user", n("-O", "source-address=198.51.100.0/24,192.0.2.1"), "a.lab.example.com", ""},
		{"from elsewhere", "ca", "user", n("-O", "source-address=198.51.100.0/24,192.0.2.2"), refused, `is not in its source-address "198.51.100.0/24,192.0.2.2"`},
		{"force-command", "ca", "user", n("-O", "force-command=dnsgate admin"), refused, `critical option "force-command" is not supported`},
		{"verify-required", "ca", "user", n("-O", "verify-required"), refused, `critical option "verify-required" is not supported`},
		{"an unknown critical option", "ca", "user", n("-O", "critical:x@example.com=y"), refused, `critical option "x@example.com" is not supported`},
		{"a known and an unknown one", "ca", "user", n("-O", "critical:a@example.com", "-O", "source-address=192.0.2.1"), refused, `critical option "a@example.com" is not supported`},
		{"SHA-1", "rsaca", "user", n("-t", "ssh-rsa"), refused, `its CA has signed with "ssh-rsa"`},
		{"another CA", "rogue", "user", n(), refused, ErrUnknown.Error()},
		{"a CA that has a plain line", "plain", "user", n(), refused, ErrUnknown.Error()},
		{"signed by itself", "plain", "plain", n(), refused, ErrUnknown.Error()},
		{"an RSA key of 1024 bits", "ca", "weak", n(), refused, "its key: the RSA key has 1024 bits"},
		{"a DSA key", "ca", "dsa", n(), refused, "its key: DSA keys are too weak"},
		{"a key that has a line, with its certificate's names", "ca", "plain", []string{"-n", "www.example.com"}, "www.example.com", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.TB = t
			cert := w.sign(test.ca, test.key, append([]string{"-z", "4711"}, test.args...)...)
			g, err := set.Lookup(cert, local, testNow)
			if test.hosts == refused {
				if err == nil || !strings.Contains(err.Error(), test.why) {
					t.Errorf("%v, %v; want %s", g, err, test.why)
				}
				return
			}
			must(t, err)
			var want []records.Name
			for _, h := range strings.Fields(test.hosts) {
				want = append(want, records.Name(h))
			}
			if !slices.Equal(g.Hosts, want) || len(g.Suffixes) > 0 || g.Admin || g.CA {
				t.Errorf("%+v", g)
			}
			if g.Fingerprint != ssh.FingerprintSHA256(cert.Key) || *g.Certificate != (Certificate{"id of " + test.key, 4711, ssh.FingerprintSHA256(cert.SignatureKey), cert.CriticalOptions[sourceAddress]}) {
				t.Errorf("%+v %+v", g, g.Certificate)
			}
			certified, err := Certify(cert)
			must(t, err)
			if again, err := set.Lookup(certified, local, testNow); err != nil || !again.Same(g) {
				t.Errorf("once certified: %+v, %v", again, err)
			}
		})
	}
}

// TestLinesOfCAs tells plain keys from CAs, whatever is in the file.
func TestLinesOfCAs(t *testing.T) {
	w := newWorkshop(t)
	ca, user := w.key("ca"), w.key("user")
	cert := w.sign("ca", "user", "-n", "home.example.com", "-O", "source-address=192.0.2.0/24", "-V", "20250101Z:20270101Z")
	authority := "cert-authority," + header

	both, faults := Parse("keys", []byte(authority+ca+"\n"+header+ca), testNow)
	if len(faults) != 1 || !strings.Contains(faults[0].String(), "keys:2: the same key as in line 1") {
		t.Error(faults)
	}
	if _, err := both.Lookup(mustKey(t, ca), local, testNow); !errors.Is(err, ErrUnknown) {
		t.Errorf("the CA's own key: %v", err)
	}
	for text, why := range map[string]error{
		authority + ca:   nil,
		header + ca:      ErrUnknown,
		authority + user: ErrUnknown,
		`from="198.51.100.0/24",` + authority + ca:        ErrSource,
		`expiry-time="20261101Z",` + authority + ca:       ErrExpired,
		strings.Replace(authority, "home", "nas", 1) + ca: ErrCertificate,
	} {
		set, faults := Parse("keys", []byte(text), testNow)
		if _, err := set.Lookup(cert, local, testNow); !errors.Is(err, why) || why == nil && err != nil {
			t.Errorf("%s: %v (%v)", text, err, faults)
		}
	}
	set, _ := Parse("keys", []byte(`expiry-time="20261231235959Z",`+authority+ca), testNow)
	g, err := set.Lookup(cert, local, testNow)
	must(t, err)
	const restrictions = `certificate "id of user", serial 0, from 192.0.2.0/24, expires 2026-12-31T23:59:59Z`
	if got := g.Restrictions(); got != restrictions {
		t.Errorf("restrictions: %s", got)
	}
	if got := set.Grants()[0].Restrictions(); !strings.HasPrefix(got, "cert-authority") {
		t.Errorf("restrictions of the CA: %s", got)
	}
	if text := FormatLine(set.Grants()[0], mustKey(t, ca)); !strings.HasPrefix(text, "cert-authority,restrict,") {
		t.Error(text)
	}
}

// TestForgedCertificates changes what a CA has signed.
func TestForgedCertificates(t *testing.T) {
	w := newWorkshop(t)
	set, _ := Parse("keys", []byte(`cert-authority,command="dnsgate allow .example.com" `+w.key("ca")), testNow)
	w.key("user")
	good := w.sign("ca", "user", "-n", "a.example.com")
	other := mustKey(t, w.key("other"))
	_, err := set.Lookup(good, local, testNow)
	must(t, err)
	for name, change := range map[string]func(c *ssh.Certificate){
		"principals":   func(c *ssh.Certificate) { c.ValidPrincipals = []string{"b.example.com"} },
		"key":          func(c *ssh.Certificate) { c.Key = other },
		"serial":       func(c *ssh.Certificate) { c.Serial++ },
		"id":           func(c *ssh.Certificate) { c.KeyId += "x" },
		"times":        func(c *ssh.Certificate) { c.ValidBefore-- },
		"extensions":   func(c *ssh.Certificate) { c.Extensions = map[string]string{"no-touch-required": ""} },
		"no signature": func(c *ssh.Certificate) { c.Signature = &ssh.Signature{Format: c.Signature.Format} },
		"another kind": func(c *ssh.Certificate) {
			c.Signature = &ssh.Signature{Format: ssh.KeyAlgoRSASHA512, Blob: c.Signature.Blob}
		},
		"never valid":   func(c *ssh.Certificate) { c.ValidAfter = 1<<64 - 1 },
		"type nobody's": func(c *ssh.Certificate) { c.CertType = 3 },
		"a nested one":  func(c *ssh.Certificate) { c.Key = good },
	} {
		forged := *good
		change(&forged)
		if g, err := set.Lookup(&forged, local, testNow); !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
}

// TestTouchOfCertificates: the touch of a security key is waived only by its
// certificate and the line together.
func TestTouchOfCertificates(t *testing.T) {
	w := newWorkshop(t)
	ca := w.key("ca")
	must(t, os.WriteFile(filepath.Join(w.dir, "sk.pub"), []byte(skEd25519()+"\n"), 0o600))
	with := w.sign("ca", "sk", "-n", "home.example.com", "-O", "no-touch-required")
	without := w.sign("ca", "sk", "-n", "home.example.com")
	for _, test := range []struct {
		options string
		cert    *ssh.Certificate
		why     error
		waived  bool
	}{
		{"", without, nil, false},
		{"", with, ErrCertificate, false}, // the library would waive it
		{"no-touch-required,", without, nil, false},
		{"no-touch-required,", with, nil, true},
	} {
		set, faults := Parse("keys", []byte(test.options+"cert-authority,"+header+ca), testNow)
		g, err := set.Lookup(test.cert, local, testNow)
		if !errors.Is(err, test.why) || g.NoTouchRequired != test.waived {
			t.Errorf("%q, %v: %v, %v (%v)", test.options, test.cert.Extensions, g.NoTouchRequired, err, faults)
		}
	}
}

// TestKeyOfHistory is a word of the history, whatever a CA writes into an id.
func TestKeyOfHistory(t *testing.T) {
	g := Grant{Fingerprint: "SHA256:x"}
	if g.Key() != "SHA256:x" {
		t.Error(g.Key())
	}
	for id, want := range map[string]string{
		"lab laptop":               "SHA256:x;serial=18446744073709551615;id=lab%20laptop",
		"":                         "SHA256:x;serial=18446744073709551615;id=",
		"a;serial=1\n%ü":           "SHA256:x;serial=18446744073709551615;id=a%3Bserial=1%0A%25%C3%BC",
		strings.Repeat("\n", 6000): "SHA256:x;serial=18446744073709551615;id=" + strings.Repeat("%0A", 26) + "...",
	} {
		g.Certificate = &Certificate{ID: id, Serial: 1<<64 - 1}
		if got := g.Key(); got != want {
			t.Errorf("%q: %s", id, got)
		}
		c := records.Change{Revision: 1, Time: testNow, Name: "a.example.com", Key: strings.Replace(g.Key(), "SHA256:x", "SHA256:"+strings.Repeat("x", 43), 1), Source: "-"}
		if _, err := records.ParseChange(c.String()); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// BenchmarkLookupCertificate looks up a client's certificate among 100,000 plain
// keys, as a login does, and as each command after it.
func BenchmarkLookupCertificate(b *testing.B) {
	w := newWorkshop(b)
	content := append(keysOf(100_000), `cert-authority,command="dnsgate allow .lab.example.com" `+w.key("ca")...)
	set, _ := Parse("keys", content, testNow)
	w.key("user")
	cert := w.sign("ca", "user", "-n", "a.lab.example.com")
	certified, err := Certify(cert)
	must(b, err)
	for name, key := range map[string]ssh.PublicKey{"login": cert, "command": certified} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := set.Lookup(key, local, testNow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// FuzzCertificate looks up whatever bytes are a certificate. None is granted
// anything: nobody has signed it.
func FuzzCertificate(f *testing.F) {
	w := newWorkshop(f)
	set, _ := Parse("keys", []byte(`cert-authority,command="dnsgate allow .example.com" `+w.key("ca")), testNow)
	w.key("user")
	good := w.sign("ca", "user", "-n", "a.example.com", "-O", "source-address=192.0.2.0/24")
	f.Add(good.Marshal())
	forged := *good
	forged.Serial++
	must(f, forged.SignCert(rand.Reader, newSigner(f)))
	f.Add(forged.Marshal())
	f.Fuzz(func(t *testing.T, wire []byte) {
		key, err := ssh.ParsePublicKey(wire)
		if err != nil {
			return
		}
		if g, err := set.Lookup(key, local, testNow.Add(time.Hour)); err == nil && !slices.Equal(g.Hosts, []records.Name{"a.example.com"}) {
			t.Errorf("%+v", g)
		}
	})
}

func newSigner(t testing.TB) ssh.Signer {
	w := newWorkshop(t)
	w.key("signer")
	text, err := os.ReadFile(filepath.Join(w.dir, "signer"))
	must(t, err)
	signer, err := ssh.ParsePrivateKey(text)
	must(t, err)
	return signer
}
