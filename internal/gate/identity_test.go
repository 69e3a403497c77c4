package gate_test

import (
	"crypto/dsa" //lint:ignore SA1019 refused is what it must be
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// step is one thing that a client does before it logs in with its own key.
type step struct {
	user string
	key  gossh.Signer
}

// TestNaiveMixesIdentities shows the attack of TestEveryOrder: a query with
// another's public key, then a login with one's own, grants both.
func TestNaiveMixesIdentities(t *testing.T) {
	n := startNaive(t)
	mine, other := fixedKey(1), fixedKey(2)
	c := dialAuth(t, n.addr)
	if kind, err := c.query("victim", other.PublicKey().Type(), other.PublicKey().Marshal()); err != nil || kind != 60 {
		t.Fatal(kind, err)
	}
	c.login(t, mine)
	if out := c.exec(t, c.session(t), "x"); out != "victim may update mine.example.com other.example.com\n" {
		t.Errorf("the naive server is better than thought: %q", out)
	}
}

// TestEveryOrder logs in with one's own key after every order of up to two
// (three in a long run) queries with own, other's and unknown keys as one or
// another user. The identity is always that of the key that signed last.
func TestEveryOrder(t *testing.T) {
	g := open(t)
	mine, second, other, unknown := newKey(t), newKey(t), newKey(t), newKey(t)
	g.authorize(grant(mine, "mine.example.com"), grant(second, "second.example.com"), grant(other, "other.example.com"))
	var steps []step
	for _, user := range []string{"root", "other"} {
		for _, key := range []gossh.Signer{mine, second, other, unknown} {
			steps = append(steps, step{user, key})
		}
	}
	orders := [][]step{nil}
	for first := 0; len(orders[len(orders)-1]) < times(2, 3); first++ {
		for _, s := range steps {
			orders = append(orders, append(orders[first][:len(orders[first]):len(orders[first])], s))
		}
	}
	for i, order := range orders {
		user := []string{"root", "other"}[i%2]
		g.loginAfter(order, user, mine, other, unknown)
	}
	g.recovered()
}

func (g *gateway) loginAfter(order []step, user string, mine, other, unknown gossh.Signer) {
	c := dialAuth(g, g.addr)
	defer c.Close()
	for _, s := range order {
		want := byte(60)
		if s.key == unknown {
			want = 51
		}
		if kind, err := c.query(s.user, s.key.PublicKey().Type(), s.key.PublicKey().Marshal()); err != nil || kind != want {
			g.Fatalf("query: message %d, %v", kind, err)
		}
	}
	kind, err := c.sign(user, user, mine.PublicKey().Type(), mine.PublicKey().Marshal(), signWith(mine))
	if err != nil || kind != 52 {
		g.Fatalf("login: message %d, %v", kind, err)
	}
	channel := c.session(g)
	if out := c.exec(g, channel, "update other.example.com 203.0.113.1"); !strings.HasPrefix(out, "nohost ") {
		g.Fatalf("another's host after %v: %q", order, out)
	}
	if out := c.exec(g, c.session(g), "whoami"); !strings.Contains(out, gossh.FingerprintSHA256(mine.PublicKey())) {
		g.Fatalf("whoami after %v: %q", order, out)
	}
}

// TestForgedSignatures claims another's key, with every signature that one
// can make without it.
func TestForgedSignatures(t *testing.T) {
	g := open(t)
	mine, other := newKey(t), newKey(t)
	g.authorize(grant(mine, "mine.example.com"), grant(other, "other.example.com"))
	algorithm, blob := other.PublicKey().Type(), other.PublicKey().Marshal()
	forgeries := map[string]func(c *raw) (byte, error){
		"signed with mine": func(c *raw) (byte, error) { return c.sign("root", "root", algorithm, blob, signWith(mine)) },
		"empty": func(c *raw) (byte, error) {
			return c.sign("root", "root", algorithm, blob, func([]byte) *gossh.Signature { return &gossh.Signature{Format: algorithm} })
		},
		"zeros": func(c *raw) (byte, error) {
			return c.sign("root", "root", algorithm, blob, func([]byte) *gossh.Signature {
				return &gossh.Signature{Format: algorithm, Blob: make([]byte, 64)}
			})
		},
		"mine, signed for another user": func(c *raw) (byte, error) {
			return c.sign("root", "other", algorithm, mine.PublicKey().Marshal(), signWith(mine))
		},
		"mine, signed for another session": func(c *raw) (byte, error) {
			right := c.sessionID
			c.sessionID = make([]byte, 32)
			defer func() { c.sessionID = right }()
			return c.sign("root", "root", algorithm, mine.PublicKey().Marshal(), signWith(mine))
		},
		"mine, as another algorithm": func(c *raw) (byte, error) {
			return c.sign("root", "root", gossh.KeyAlgoECDSA256, mine.PublicKey().Marshal(), signWith(mine))
		},
	}
	for name, forge := range forgeries {
		c := dialAuth(t, g.addr)
		c.query("root", algorithm, blob)
		if kind, err := forge(c); err == nil && kind != 51 {
			t.Errorf("%s: message %d", name, kind)
		}
		c.Close()
	}
	g.recovered()
}

// TestMethods wants exactly publickey to be offered, to whatever is tried.
func TestMethods(t *testing.T) {
	g := open(t)
	type failure struct {
		Methods []string `sshtype:"51"`
		Partial bool
	}
	for _, method := range []string{"none", "password", "keyboard-interactive", "hostbased", "gssapi-with-mic", "publickey", "x"} {
		c := dialAuth(t, g.addr)
		request := gossh.Marshal(struct {
			User, Service, Method string `sshtype:"50"`
			Rest                  []byte `ssh:"rest"`
		}{"root", "ssh-connection", method, gossh.Marshal(struct {
			Flag bool
			S, T string
		}{false, "secret", "x"})})
		if err := c.packet(request); err != nil {
			t.Fatal(err)
		}
		p, err := c.receive()
		if err != nil {
			t.Fatal(method, err)
		}
		var f failure
		if err := gossh.Unmarshal(p, &f); err != nil || f.Partial || strings.Join(f.Methods, ",") != "publickey" {
			t.Errorf("%s: %+v, %v", method, f, err)
		}
		c.Close()
	}
	g.recovered()
}

// TestOffersAreCounted wants a client that goes on offering keys that would
// do to be sent away.
func TestOffersAreCounted(t *testing.T) {
	g := open(t)
	keys := []gossh.Signer{newKey(t), newKey(t)}
	g.authorize(grant(keys[0], "a.example.com"), grant(keys[1], "b.example.com"))
	c := dialAuth(t, g.addr)
	accepted := 0
	for i := range 100 {
		kind, err := c.query("root", keys[i%2].PublicKey().Type(), keys[i%2].PublicKey().Marshal())
		if err != nil {
			break
		}
		if kind == 60 {
			accepted++
		}
	}
	if accepted > 6 {
		t.Errorf("%d offers accepted", accepted)
	}
	g.recovered()
}

// TestCertificates logs in with certificates for an authorized key that
// somebody else signed; the naive server lets them in.
func TestCertificates(t *testing.T) {
	n := startNaive(t)
	rogue := func(key gossh.Signer) gossh.Signer {
		cert := &gossh.Certificate{
			Key: key.PublicKey(), CertType: gossh.UserCert, ValidPrincipals: []string{"root"}, ValidBefore: gossh.CertTimeInfinity,
		}
		if err := cert.SignCert(rand.Reader, newKey(t)); err != nil {
			t.Fatal(err)
		}
		signer, err := gossh.NewCertSigner(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return signer
	}
	client, err := gossh.Dial("tcp", n.addr, &gossh.ClientConfig{
		Auth: []gossh.AuthMethod{gossh.PublicKeys(rogue(fixedKey(1)))}, HostKeyCallback: gossh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		t.Fatalf("the naive server is better than thought: %v", err)
	}
	client.Close()
	g := open(t)
	if _, err := g.dial(rogue(g.owner)); err == nil {
		t.Error("a certificate of nobody's logs in")
	}
	g.recovered()
}

// TestRevokedAndNarrowed changes keys below open connections.
func TestRevokedAndNarrowed(t *testing.T) {
	g := open(t)
	revoked, narrowed := newKey(t), newKey(t)
	g.authorize(grant(revoked, "a.example.com"), grant(narrowed, "b.example.com c.example.com"))
	a, b := g.mustDial(revoked), g.mustDial(narrowed)
	g.expect(a, "update 203.0.113.1", "good 203.0.113.1 a.example.com\n")
	g.expect(b, "update c.example.com 203.0.113.1", "good 203.0.113.1 c.example.com\n")
	g.authorize(grant(narrowed, "b.example.com"))
	g.expect(a, "update 203.0.113.2", "nohost ")
	g.expect(a, "list", "nohost ")
	g.expect(b, "update c.example.com 203.0.113.2", "nohost ")
	g.expect(b, "update 203.0.113.2", "good 203.0.113.2 b.example.com\n")
	a.Close()
	b.Close()
	g.recovered()
}

// TestBatchAfterRevocation revokes a key below a batch that runs.
func TestBatchAfterRevocation(t *testing.T) {
	g := open(t)
	key := newKey(t)
	g.authorize(grant(key, "a.example.com"))
	client := g.mustDial(key)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, _ := session.StdinPipe()
	out, _ := session.StdoutPipe()
	if err := session.Start("update -"); err != nil {
		t.Fatal(err)
	}
	answer := func(line string) string {
		fmt.Fprintln(in, line)
		b := make([]byte, 1000)
		n, _ := out.Read(b)
		return string(b[:n])
	}
	if got := answer("203.0.113.1"); got != "good 203.0.113.1 a.example.com\n" {
		t.Fatal(got)
	}
	g.authorize()
	if got := answer("203.0.113.2"); !strings.HasPrefix(got, "nohost ") {
		t.Errorf("after the key is gone: %q", got)
	}
	client.Close()
	g.recovered()
}

// TestConcurrentIdentities has many connections at once that query with one
// key and log in with another; under -race it also looks for shared state.
func TestConcurrentIdentities(t *testing.T) {
	g := open(t)
	const clients = 16
	keys := make([]gossh.Signer, clients)
	var lines []string
	for i := range keys {
		keys[i] = newKey(t)
		lines = append(lines, grant(keys[i], fmt.Sprintf("h%d.example.com", i)))
	}
	g.authorize(lines...)
	var work sync.WaitGroup
	for i := range clients {
		work.Go(func() {
			mine, other := keys[i], keys[(i+1)%clients]
			for range times(130, 1000) {
				c := dialAuth(t, g.addr)
				if kind, err := c.query("root", other.PublicKey().Type(), other.PublicKey().Marshal()); err != nil || kind != 60 {
					t.Errorf("query: message %d, %v", kind, err)
				}
				kind, err := c.sign("root", "root", mine.PublicKey().Type(), mine.PublicKey().Marshal(), signWith(mine))
				if err != nil || kind != 52 {
					t.Errorf("login: message %d, %v", kind, err)
					return
				}
				if out := c.exec(t, c.session(t), "whoami"); !strings.Contains(out, gossh.FingerprintSHA256(mine.PublicKey())) {
					t.Errorf("not who I am: %q", out)
				}
				c.Close()
			}
		})
	}
	work.Wait()
	g.recovered()
}

// TestWeakKeys logs in with keys that are refused though their lines are in
// authorized_keys, and with good ones beside them.
func TestWeakKeys(t *testing.T) {
	g := open(t)
	weak, good := rsaKey(t, 1024), rsaKey(t, 2048)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecdsaKey, err := gossh.NewSignerFromKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	g.authorize(grant(weak, "weak.example.com"), grant(good, "good.example.com"), grant(ecdsaKey, "ecdsa.example.com"))
	if faults := g.keys.Problems(); len(faults) != 1 {
		t.Errorf("faults: %v", faults)
	}
	only := func(key gossh.Signer, algorithm string) gossh.Signer {
		signer, err := gossh.NewSignerWithAlgorithms(key.(gossh.AlgorithmSigner), []string{algorithm})
		if err != nil {
			t.Fatal(err)
		}
		return signer
	}
	for name, c := range map[string]struct {
		key gossh.Signer
		ok  bool
	}{
		"RSA 1024":        {weak, false},
		"RSA 2048":        {good, true},
		"RSA 2048, SHA-1": {only(good, gossh.KeyAlgoRSA), false},
		"RSA 2048, 512":   {only(good, gossh.KeyAlgoRSASHA512), true},
		"ECDSA":           {ecdsaKey, true},
		"DSA":             {dsaKey(t), false},
	} {
		client, err := g.dial(c.key)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			client.Close()
		}
	}
	// What x/crypto's client would not send: SHA-1 by name, then SHA-1 under
	// the name of SHA-2.
	for _, named := range []string{gossh.KeyAlgoRSA, gossh.KeyAlgoRSASHA256} {
		c := dialAuth(t, g.addr)
		kind, err := c.sign("root", "root", named, good.PublicKey().Marshal(), func(data []byte) *gossh.Signature {
			s, err := good.(gossh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, data, gossh.KeyAlgoRSA)
			if err != nil {
				t.Error(err)
			}
			return s
		})
		if err == nil && kind == 52 {
			t.Errorf("SHA-1, called %s, logs in", named)
		}
		c.Close()
	}
	g.recovered()
}

func rsaKey(t testing.TB, bits int) gossh.Signer {
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func dsaKey(t testing.TB) gossh.Signer {
	key := new(dsa.PrivateKey)
	if err := dsa.GenerateParameters(&key.Parameters, rand.Reader, dsa.L1024N160); err != nil {
		t.Fatal(err)
	}
	if err := dsa.GenerateKey(key, rand.Reader); err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// securityKey is a FIDO token in software: PROTOCOL.u2f of OpenSSH.
type securityKey struct {
	public  gossh.PublicKey
	private ed25519.PrivateKey
	flags   byte
}

func newSecurityKey(t testing.TB) *securityKey {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := gossh.ParsePublicKey(gossh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{gossh.KeyAlgoSKED25519, public, "ssh:"}))
	if err != nil {
		t.Fatal(err)
	}
	return &securityKey{public: key, private: private}
}

func (k *securityKey) PublicKey() gossh.PublicKey { return k.public }

func (k *securityKey) sign(data []byte) *gossh.Signature {
	const counter = 7
	application, message := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	blob := gossh.Marshal(struct {
		Application [32]byte
		Flags       byte
		Counter     uint32
		Message     [32]byte
	}{application, k.flags, counter, message})
	return &gossh.Signature{
		Format: gossh.KeyAlgoSKED25519, Blob: ed25519.Sign(k.private, blob),
		Rest: gossh.Marshal(struct {
			Flags   byte
			Counter uint32
		}{k.flags, counter}),
	}
}

// TestTouch logs in with a security key that was, and was not, touched.
func TestTouch(t *testing.T) {
	g := open(t)
	strict, lax := newSecurityKey(t), newSecurityKey(t)
	line := func(options string, k *securityKey) string {
		return fmt.Sprintf("%scommand=\"dnsgate allow sk.example.com\" %s", options, gossh.MarshalAuthorizedKey(k.public))
	}
	g.authorize(line("", strict), line("no-touch-required,", lax))
	for _, c := range []struct {
		name  string
		key   *securityKey
		flags byte
		want  bool
	}{
		{"touched", strict, 1, true},
		{"untouched", strict, 0, false},
		{"verified but untouched", strict, 4, false},
		{"touched, need not be", lax, 1, true},
		{"untouched, need not be", lax, 0, true},
	} {
		c.key.flags = c.flags
		conn := dialAuth(t, g.addr)
		// The key that need not be touched is offered first: its leave is not
		// the other's.
		conn.query("root", gossh.KeyAlgoSKED25519, lax.public.Marshal())
		kind, err := conn.sign("root", "root", gossh.KeyAlgoSKED25519, c.key.public.Marshal(), c.key.sign)
		if ok := err == nil && kind == 52; ok != c.want {
			t.Errorf("%s: message %d, %v", c.name, kind, err)
		}
		conn.Close()
	}
	g.recovered()
}

// TestHugeKeys makes the gateway check signatures of keys as long as a packet
// can hold: each must cost little.
func TestHugeKeys(t *testing.T) {
	g := open(t)
	began := time.Now()
	for range 20 {
		c := dialAuth(t, g.addr)
		modulus := new(big.Int).Lsh(big.NewInt(1), 16384) // the longest that x/crypto looks at
		modulus.Sub(modulus, big.NewInt(1))
		key := gossh.Marshal(struct {
			Type string
			E, N *big.Int
		}{gossh.KeyAlgoRSA, big.NewInt(1<<24 - 1), modulus})
		c.sign("root", "root", gossh.KeyAlgoRSASHA256, key, func([]byte) *gossh.Signature {
			return &gossh.Signature{Format: gossh.KeyAlgoRSASHA256, Blob: make([]byte, 16384/8)}
		})
		c.Close()
	}
	t.Logf("%v each", time.Since(began)/20)
	g.recovered()
}
