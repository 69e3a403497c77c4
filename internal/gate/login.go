package gate

import (
	"errors"
	"io"
	"time"

	"dnsgate/internal/authkeys"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// The algorithms on offer. Key exchange has no NIST curves and no Diffie-Hellman groups
// (a stranger could pick the slowest). Ciphers are authenticated, or AES-CTR with
// encrypt-then-MAC for clients that have no other. SHA-1 is nowhere.
var (
	postQuantum  = []string{gossh.KeyExchangeMLKEM768X25519}
	keyExchanges = append(postQuantum[:1:1], gossh.KeyExchangeCurve25519)
	ciphers      = []string{
		gossh.CipherChaCha20Poly1305, gossh.CipherAES256GCM, gossh.CipherAES128GCM,
		gossh.CipherAES256CTR, gossh.CipherAES128CTR,
	}
	macs     = []string{gossh.HMACSHA256ETM, gossh.HMACSHA512ETM}
	userKeys = []string{
		gossh.KeyAlgoED25519, gossh.KeyAlgoSKED25519,
		gossh.KeyAlgoECDSA256, gossh.KeyAlgoECDSA384, gossh.KeyAlgoECDSA521, gossh.KeyAlgoSKECDSA256,
		gossh.KeyAlgoRSASHA256, gossh.KeyAlgoRSASHA512,
	}
)

// serverConfig makes a configuration for one connection. A shared one would
// let connections race for each other's identity.
func (g *Gate) serverConfig(ctx ssh.Context) *gossh.ServerConfig {
	c := connOf(ctx)
	config := &gossh.ServerConfig{
		Config:                  gossh.Config{KeyExchanges: g.keyExchanges, Ciphers: ciphers, MACs: macs},
		PublicKeyAuthAlgorithms: userKeys,
		MaxAuthTries:            c.limits.MaxAuthTries,
		AuthLogCallback: func(_ gossh.ConnMetadata, method string, _ error) {
			c.tried = c.tried || method != "none"
		},
		VerifiedPublicKeyCallback: func(_ gossh.ConnMetadata, key gossh.PublicKey, _ *gossh.Permissions, _ string) (*gossh.Permissions, error) {
			return g.proven(c, key)
		},
	}
	for _, key := range g.hostKeys {
		config.AddHostKey(connSigner{key, c})
	}
	return config
}

// connSigner signs with a host key for one connection. The signature is the costly part
// of a key exchange, and a client may ask for many key exchanges.
type connSigner struct {
	gossh.MultiAlgorithmSigner
	conn *conn
}

var errKeyExchanges = errors.New("too many key exchanges")

// Sign signs with the only algorithm of the key's type.
func (s connSigner) Sign(rand io.Reader, data []byte) (*gossh.Signature, error) {
	return s.SignWithAlgorithm(rand, data, s.PublicKey().Type())
}

func (s connSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*gossh.Signature, error) {
	if s.conn.exchanges++; s.conn.exchanges > freeKeyExchanges+int(time.Since(s.conn.accepted)/time.Second) {
		return nil, errKeyExchanges
	}
	return s.MultiAlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
}

// refusal is a refused key, for the log.
type refusal struct {
	fingerprint string
	why         error
}

// offered answers whether a client may try to prove key. This proves nothing yet, and
// is not remembered: the Permissions made here belong to this offer alone, and only say
// whether a security key must have been touched.
func (g *Gate) offered(ctx ssh.Context, key ssh.PublicKey) bool {
	c := connOf(ctx)
	c.tried = true
	ctx.Permissions().Permissions = &gossh.Permissions{}
	grant, err := g.keys.Lookup(key, c.source, time.Now())
	if err != nil {
		c.refusal = refusal{gossh.FingerprintSHA256(authkeys.Plain(key)), err}
		c.excused = c.excused || errors.Is(err, authkeys.ErrChanging) || errors.Is(err, authkeys.ErrGone)
		return false
	}
	if c.offers++; c.offers > c.limits.MaxAuthTries {
		return false // the library counts refused offers only
	}
	if grant.NoTouchRequired {
		ctx.Permissions().Extensions = map[string]string{"no-touch-required": ""}
	}
	return true
}

// identity is the proven key of a login, plain or an *authkeys.Certified. Nothing else
// authorizes a session.
type identity struct{ key gossh.PublicKey }

// identityKey is the place of the identity in Permissions.ExtraData.
type identityKey struct{}

// proven makes the Permissions of a client that has just proven key.
func (g *Gate) proven(c *conn, key gossh.PublicKey) (*gossh.Permissions, error) {
	if cert, ok := key.(*gossh.Certificate); ok {
		certified, err := authkeys.Certify(cert)
		if err != nil {
			return nil, err
		}
		key = certified
	}
	if _, err := g.keys.Lookup(key, c.source, time.Now()); err != nil {
		return nil, err
	}
	plain := authkeys.Plain(key)
	if err := c.prove(string(plain.Marshal())); err != nil {
		c.refusal = refusal{gossh.FingerprintSHA256(plain), err}
		return nil, err
	}
	return &gossh.Permissions{ExtraData: map[any]any{identityKey{}: identity{key}}}, nil
}

// identityOf returns the identity proven by the login of sc. It is an error if there is
// none.
func identityOf(sc *gossh.ServerConn) (identity, error) {
	if sc.Permissions != nil {
		if id, ok := sc.Permissions.ExtraData[identityKey{}].(identity); ok && id.key != nil {
			return id, nil
		}
	}
	return identity{}, errors.New("no proven key")
}
