package gate_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	"dnsgate/internal/gate"

	gossh "golang.org/x/crypto/ssh"
)

// told is a client that was told of the host keys.
type told struct {
	gossh.Conn
	keys []gossh.PublicKey
}

// askAbout logs in, opens a channel, and returns once the host keys were told.
// That must be before the channel is there: OpenSSH would not ask any more.
func (g *gateway) askAbout() *told {
	g.Helper()
	nc, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	conn, channels, requests, err := gossh.NewClientConn(nc, g.addr, &gossh.ClientConfig{
		Auth: []gossh.AuthMethod{gossh.PublicKeys(g.owner)}, HostKeyCallback: gossh.FixedHostKey(g.hostKey.PublicKey()),
		HostKeyAlgorithms: g.algorithms(),
	})
	if err != nil {
		g.Fatal(err)
	}
	go func() {
		for range channels {
		}
	}()
	ch, chRequests, err := conn.OpenChannel("session", nil)
	if err != nil {
		g.Fatal(err)
	}
	go gossh.DiscardRequests(chRequests)
	defer ch.Close()
	client := &told{Conn: conn}
	select {
	case req := <-requests: // it is there already, or was not sent before
		if req.Type != "hostkeys-00@openssh.com" || req.WantReply {
			g.Fatalf("%+v", req)
		}
		for _, blob := range stringsOf(g, req.Payload) {
			key, err := gossh.ParsePublicKey(blob)
			if err != nil {
				g.Fatal(err)
			}
			client.keys = append(client.keys, key)
		}
	default:
		g.Fatal("a channel was opened before the host keys were told")
	}
	go gossh.DiscardRequests(requests)
	return client
}

// algorithms are those that the host key can prove the gateway by.
func (g *gateway) algorithms() []string {
	if kind := g.hostKey.PublicKey().Type(); kind != gossh.KeyAlgoRSA {
		return []string{kind}
	}
	return []string{gossh.KeyAlgoRSASHA256, gossh.KeyAlgoRSASHA512}
}

func stringsOf(t testing.TB, b []byte) (all [][]byte) {
	t.Helper()
	for len(b) > 0 {
		var next struct {
			S    []byte
			Rest []byte `ssh:"rest"`
		}
		if err := gossh.Unmarshal(b, &next); err != nil {
			t.Fatal(err)
		}
		all, b = append(all, next.S), next.Rest
	}
	return all
}

func list(keys ...gossh.PublicKey) (b []byte) {
	for _, k := range keys {
		b = append(b, gossh.Marshal(struct{ K []byte }{k.Marshal()})...)
	}
	return b
}

// prove asks for proof of keys, and reports whether it was given for all of them.
func (c *told) prove(t testing.TB, keys ...gossh.PublicKey) bool {
	t.Helper()
	ok, reply, err := c.SendRequest("hostkeys-prove-00@openssh.com", true, list(keys...))
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return false
	}
	proofs := stringsOf(t, reply)
	if len(proofs) != len(keys) {
		t.Fatalf("%d proofs of %d keys", len(proofs), len(keys))
	}
	for i, key := range keys {
		var signature gossh.Signature
		if err := gossh.Unmarshal(proofs[i], &signature); err != nil {
			t.Fatal(err)
		}
		data := gossh.Marshal(struct {
			What         string
			Session, Key []byte
		}{"hostkeys-prove-00@openssh.com", c.SessionID(), key.Marshal()})
		if err := key.Verify(data, &signature); err != nil {
			t.Errorf("%s: %v", key.Type(), err)
		}
		if key.Type() == gossh.KeyAlgoRSA && signature.Format == gossh.KeyAlgoRSA {
			t.Error("signed with SHA-1")
		}
	}
	return true
}

// TestHostKeys announces every host key before the first channel, and proves
// those that a client asks for, once.
func TestHostKeys(t *testing.T) {
	first, second, rsa := newKey(t), newKey(t), rsaKey(t, 2048)
	for name, keys := range map[string][]gossh.Signer{"ed25519 first": {first, second, rsa}, "rsa first": {rsa, first, second}} {
		t.Run(name, func(t *testing.T) {
			g := open(t, func(o *gate.Options) { o.HostKeys = keys })
			c := g.askAbout()
			defer c.Close()
			if len(c.keys) != 3 {
				t.Fatalf("%d keys were told", len(c.keys))
			}
			for i, key := range c.keys {
				if !bytes.Equal(key.Marshal(), keys[i].PublicKey().Marshal()) {
					t.Errorf("key %d is another one", i)
				}
			}
			if !c.prove(t, second.PublicKey(), rsa.PublicKey()) {
				t.Error("no proof")
			}
			if c.prove(t, second.PublicKey()) {
				t.Error("a second proof")
			}
		})
	}
}

// TestHostKeysOfOthers asks for proof of keys that the gateway does not have, of
// one key many times, and with nonsense: there is none, and the gateway lives.
func TestHostKeysOfOthers(t *testing.T) {
	g := open(t)
	many := make([]gossh.PublicKey, 1000)
	for i := range many {
		many[i] = g.hostKey.PublicKey()
	}
	for name, ask := range map[string][]byte{
		"another's":   list(newKey(t).PublicKey()),
		"one of two":  list(g.hostKey.PublicKey(), newKey(t).PublicKey()),
		"again":       list(g.hostKey.PublicKey(), g.hostKey.PublicKey()),
		"many":        list(many...),
		"cut":         list(g.hostKey.PublicKey())[:20],
		"long length": {0xff, 0xff, 0xff, 0xff},
		"one byte":    {0},
	} {
		c := g.askAbout()
		if ok, _, err := c.SendRequest("hostkeys-prove-00@openssh.com", true, ask); err != nil || ok {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
		if c.prove(t, g.hostKey.PublicKey()) {
			t.Errorf("%s: asked again, it proves", name)
		}
		c.Close()
	}
	c := g.mustDial(g.owner) // has no channel yet, and was told nothing
	if ok, _, err := c.SendRequest("hostkeys-prove-00@openssh.com", true, list(g.hostKey.PublicKey())); err != nil || ok {
		t.Errorf("unasked: %v, %v", ok, err)
	}
	c.Close()
	g.recovered()
}
