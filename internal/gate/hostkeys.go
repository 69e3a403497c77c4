package gate

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// By OpenSSH's extension (section 2.5 of its PROTOCOL) a client learns the host keys
// that do not prove the gateway yet, and forgets those that are gone.
const (
	hostKeysMessage = "hostkeys-00@openssh.com"
	proveMessage    = "hostkeys-prove-00@openssh.com"
)

// proofWait is how long a command's exit status waits for the client to ask for proof.
// Without this wait, one client in 1,000 learned nothing on a busy machine.
const proofWait = 10 * time.Millisecond

// proving is the state of a connection's host key proofs.
type proving struct {
	announced sync.Once
	waited    sync.Once     // for the client to ask
	asked     chan struct{} // closed when it does; nil: it is not waited for
	mu        sync.Mutex    // held while a proof is made and sent
	may       bool          // the client was told, and has not asked yet
}

// announceHostKeys tells the client all host keys, known ones too: the client would
// forget a missing one. This comes before the first channel is confirmed, because a
// client that has its command's answer no longer asks.
func (g *Gate) announceHostKeys(c *conn, sc *gossh.ServerConn) {
	c.proving.announced.Do(func() {
		var list []byte
		for _, key := range g.allHostKeys {
			list = appendString(list, key.PublicKey().Marshal())
		}
		c.proving.mu.Lock()
		defer c.proving.mu.Unlock()
		if len(g.allHostKeys) > len(g.hostKeys) && bytes.HasPrefix(sc.ClientVersion(), []byte("SSH-2.0-OpenSSH")) {
			c.proving.asked = make(chan struct{})
		}
		c.proving.may = true
		sc.SendRequest(hostKeysMessage, false, list)
	})
}

// proofSent waits until a proof that the client asked for before its command has been
// sent. The library hands that request to one goroutine and the command to this one,
// which may be faster. So it lets the other goroutine go first, and waits a little
// while there is a host key to learn.
func (c *conn) proofSent() {
	runtime.Gosched()
	if c.proving.asked != nil {
		c.proving.waited.Do(func() {
			select {
			case <-c.proving.asked:
			case <-time.After(proofWait):
			}
		})
	}
	c.proving.mu.Lock()
	defer c.proving.mu.Unlock()
}

func appendString(b, s []byte) []byte {
	return append(b, gossh.Marshal(struct{ S []byte }{s})...)
}

// proveHostKeys answers a client that asks for proof of the announced keys. Each proof
// costs a signature, so a client may ask once.
func (g *Gate) proveHostKeys(ctx ssh.Context, _ *ssh.Server, req *gossh.Request) (bool, []byte) {
	c := connOf(ctx)
	defer g.survive("host keys", func() { c.Close() })
	c.proving.mu.Lock()
	defer c.proving.mu.Unlock()
	sc, ok := ctx.Value(ssh.ContextKeyConn).(*gossh.ServerConn)
	if !ok || !c.proving.may {
		return false, nil
	}
	c.proving.may = false
	if c.proving.asked != nil {
		close(c.proving.asked)
	}
	proofs, err := g.hostKeyProofs(sc, req.Payload)
	req.Reply(err == nil, proofs)
	req.WantReply = false // it has been answered, which the library cannot do while mu is held
	return false, nil
}

// hostKeyProofs signs the host keys listed in asked, each at most once, together with
// the session, so that a proof is good for nothing else.
func (g *Gate) hostKeyProofs(sc *gossh.ServerConn, asked []byte) (proofs []byte, err error) {
	keys := slices.Clone(g.allHostKeys)
	for len(asked) > 0 {
		var next struct {
			Key  []byte
			Rest []byte `ssh:"rest"`
		}
		if err := gossh.Unmarshal(asked, &next); err != nil {
			return nil, err
		}
		asked = next.Rest
		i := slices.IndexFunc(keys, func(k gossh.MultiAlgorithmSigner) bool { return bytes.Equal(k.PublicKey().Marshal(), next.Key) })
		if i < 0 {
			return nil, fmt.Errorf("not a host key")
		}
		data := gossh.Marshal(struct {
			Message      string
			Session, Key []byte
		}{proveMessage, sc.SessionID(), next.Key})
		signature, err := keys[i].SignWithAlgorithm(rand.Reader, data, proofAlgorithm(keys[i], sc))
		if err != nil {
			return nil, err
		}
		proofs = appendString(proofs, gossh.Marshal(signature))
		keys = slices.Delete(keys, i, i+1)
	}
	return proofs, nil
}

// proofAlgorithm is key's signature algorithm for a proof. If the key exchange was
// signed by an RSA key, OpenSSH wants the same algorithm from others.
func proofAlgorithm(key gossh.MultiAlgorithmSigner, sc *gossh.ServerConn) string {
	algorithms := key.Algorithms()
	if with, ok := sc.Conn.(gossh.AlgorithmsConnMetadata); ok && slices.Contains(algorithms, with.Algorithms().HostKey) {
		return with.Algorithms().HostKey
	}
	return algorithms[0]
}

// firstOfType leaves out keys whose type an earlier key has: clients ask for a type,
// and the library would use the last one.
func firstOfType(keys []gossh.MultiAlgorithmSigner) (first []gossh.MultiAlgorithmSigner) {
	for _, key := range keys {
		sameType := func(k gossh.MultiAlgorithmSigner) bool { return k.PublicKey().Type() == key.PublicKey().Type() }
		if !slices.ContainsFunc(first, sameType) {
			first = append(first, key)
		}
	}
	return first
}
