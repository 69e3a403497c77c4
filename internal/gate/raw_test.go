package gate_test

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// raw is a client that sends any packet at any time (RFC 4253 with
// curve25519-sha256 and aes128-gcm@openssh.com). It checks nothing.
type raw struct {
	net.Conn
	r         *bufio.Reader
	seal      *sealer
	open      *sealer
	theirs    []byte // version
	sessionID []byte
}

// sealer encrypts or decrypts one direction (RFC 5647, with OpenSSH's change:
// nothing is negotiated for the MAC).
type sealer struct {
	cipher.AEAD
	iv []byte
}

func newSealer(key, iv []byte) *sealer {
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return &sealer{aead, append([]byte(nil), iv[:12]...)}
}

func (s *sealer) next() []byte {
	iv := append([]byte(nil), s.iv...)
	binary.BigEndian.PutUint64(s.iv[4:], binary.BigEndian.Uint64(s.iv[4:])+1)
	return iv
}

const rawVersion = "SSH-2.0-raw"

// dialRaw connects, and exchanges versions.
func dialRaw(t testing.TB, addr string) *raw {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.(*net.TCPConn).SetWriteBuffer(1 << 20)
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	c := &raw{Conn: nc, r: bufio.NewReader(nc)}
	fmt.Fprint(c, rawVersion+"\r\n")
	line, err := c.r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	c.theirs = []byte(line[:len(line)-2])
	return c
}

// packet writes one packet in one piece, whatever payload is.
func (c *raw) packet(payload []byte) error {
	block := 8
	length := 5
	if c.seal != nil {
		block, length = 16, 1 // the length is not encrypted
	}
	padding := block - (length+len(payload))%block
	if padding < 4 {
		padding += block
	}
	p := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))
	p = append(append(append(p, byte(padding)), payload...), make([]byte, padding)...)
	if c.seal != nil {
		p = append(p[:4:4], c.seal.Seal(nil, c.seal.next(), p[4:], p[:4])...)
	}
	_, err := c.Write(p)
	return err
}

// send marshals a message.
func (c *raw) send(message any) error { return c.packet(gossh.Marshal(message)) }

var errDisconnected = errors.New("the server disconnected")

// receive reads the next packet that is not for debugging.
func (c *raw) receive() ([]byte, error) {
	for {
		p, err := c.receiveAny()
		if err != nil {
			return nil, err
		}
		switch p[0] {
		case 1:
			return nil, errDisconnected
		case 2, 3, 4, 7: // ignore, unimplemented, debug, ext-info
		default:
			return p, nil
		}
	}
}

func (c *raw) receiveAny() ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(c.r, head); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head))
	if c.open != nil {
		body = make([]byte, len(body)+16)
	}
	if _, err := io.ReadFull(c.r, body); err != nil {
		return nil, err
	}
	if c.open != nil {
		var err error
		if body, err = c.open.Open(nil, c.open.next(), body, head); err != nil {
			return nil, err
		}
	}
	return body[1 : len(body)-int(body[0])], nil
}

// want reads until a packet of that type comes.
func (c *raw) want(kind byte) ([]byte, error) {
	for {
		p, err := c.receive()
		if err != nil || p[0] == kind {
			return p, err
		}
	}
}

// The messages of RFC 4253 section 7.1 and RFC 5656 section 4.
type kexInit struct {
	Cookie                   [16]byte `sshtype:"20"`
	Kex, HostKey             []string
	CipherTo, CipherFrom     []string
	MACTo, MACFrom           []string
	CompressTo, CompressFrom []string
	LanguageTo, LanguageFrom []string
	FirstFollows             bool
	Reserved                 uint32
}

type kexECDHInit struct {
	Public []byte `sshtype:"30"`
}

type kexECDHReply struct {
	HostKey   []byte `sshtype:"31"`
	Public    []byte
	Signature []byte
}

func rawKexInit() []byte {
	gcm, none := []string{gossh.CipherAES128GCM}, []string{"none"}
	return gossh.Marshal(kexInit{
		Kex: []string{gossh.KeyExchangeCurve25519}, HostKey: []string{gossh.KeyAlgoED25519},
		CipherTo: gcm, CipherFrom: gcm, MACTo: []string{gossh.HMACSHA256ETM}, MACFrom: []string{gossh.HMACSHA256ETM},
		CompressTo: none, CompressFrom: none,
	})
}

// exchangeKeys does so, for the first time or again.
func (c *raw) exchangeKeys() error {
	mine := rawKexInit()
	if err := c.packet(mine); err != nil {
		return err
	}
	theirs, err := c.want(20)
	if err != nil {
		return err
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	public := private.PublicKey().Bytes()
	if err := c.send(kexECDHInit{public}); err != nil {
		return err
	}
	answer, err := c.want(31)
	if err != nil {
		return err
	}
	var reply kexECDHReply
	if err := gossh.Unmarshal(answer, &reply); err != nil {
		return err
	}
	peer, err := ecdh.X25519().NewPublicKey(reply.Public)
	if err != nil {
		return err
	}
	secret, err := private.ECDH(peer)
	if err != nil {
		return err
	}
	k := gossh.Marshal(struct{ K *big.Int }{new(big.Int).SetBytes(secret)})
	hash := sha256.Sum256(append(gossh.Marshal(struct{ VC, VS, IC, IS, Host, QC, QS []byte }{
		[]byte(rawVersion), c.theirs, mine, theirs, reply.HostKey, public, reply.Public}), k...))
	if c.sessionID == nil {
		c.sessionID = hash[:]
	}
	if _, err := c.want(21); err != nil {
		return err
	}
	if err := c.packet([]byte{21}); err != nil {
		return err
	}
	derive := func(letter byte) []byte {
		h := sha256.New()
		h.Write(k)
		h.Write(hash[:])
		h.Write([]byte{letter})
		h.Write(c.sessionID)
		return h.Sum(nil)
	}
	c.seal, c.open = newSealer(derive('C'), derive('A')), newSealer(derive('D'), derive('B'))
	return nil
}

type serviceRequest struct {
	Service string `sshtype:"5"`
}

// userAuth is SSH_MSG_USERAUTH_REQUEST with its publickey fields (RFC 4252
// section 7).
type userAuth struct {
	User, Service, Method string `sshtype:"50"`
	Signed                bool
	Algorithm             string
	Key                   []byte
}

// dialAuth exchanges keys, and asks to log in.
func dialAuth(t testing.TB, addr string) *raw {
	t.Helper()
	c := dialRaw(t, addr)
	if err := c.exchangeKeys(); err != nil {
		t.Fatal(err)
	}
	if err := c.send(serviceRequest{"ssh-userauth"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.want(6); err != nil {
		t.Fatal(err)
	}
	return c
}

// query asks whether key would do, and returns the type of the answer: 60 yes,
// 51 no.
func (c *raw) query(user, algorithm string, key []byte) (byte, error) {
	if err := c.send(userAuth{user, "ssh-connection", "publickey", false, algorithm, key}); err != nil {
		return 0, err
	}
	p, err := c.receive()
	if err != nil {
		return 0, err
	}
	return p[0], nil
}

// sign logs in as user, claiming key, with what by makes of the data: 52 is
// success. signedUser is the user of the signed data.
func (c *raw) sign(user, signedUser, algorithm string, key []byte, by func(data []byte) *gossh.Signature) (byte, error) {
	data := gossh.Marshal(struct {
		Session []byte
		Rest    []byte `ssh:"rest"`
	}{c.sessionID, gossh.Marshal(userAuth{signedUser, "ssh-connection", "publickey", true, algorithm, key})})
	request := gossh.Marshal(userAuth{user, "ssh-connection", "publickey", true, algorithm, key})
	request = append(request, gossh.Marshal(struct{ S []byte }{gossh.Marshal(by(data))})...)
	if err := c.packet(request); err != nil {
		return 0, err
	}
	p, err := c.receive()
	if err != nil {
		return 0, err
	}
	return p[0], nil
}

func signWith(key gossh.Signer) func([]byte) *gossh.Signature {
	return func(data []byte) *gossh.Signature {
		s, err := key.Sign(rand.Reader, data)
		if err != nil {
			panic(err)
		}
		return s
	}
}

// login logs in with key.
func (c *raw) login(t testing.TB, key gossh.Signer) {
	t.Helper()
	kind, err := c.sign("root", "root", key.PublicKey().Type(), key.PublicKey().Marshal(), signWith(key))
	if err != nil || kind != 52 {
		t.Fatalf("logging in: message %d, %v", kind, err)
	}
}

// The messages of RFC 4254 section 5.
type channelOpen struct {
	Type           string `sshtype:"90"`
	Sender, Window uint32
	MaxPacket      uint32
	Extra          []byte `ssh:"rest"`
}

type channelConfirm struct {
	Recipient, Sender uint32 `sshtype:"91"`
	Window, MaxPacket uint32
}

type channelRequest struct {
	Recipient uint32 `sshtype:"98"`
	Type      string
	WantReply bool
	Data      []byte `ssh:"rest"`
}

type channelData struct {
	Recipient uint32 `sshtype:"94"`
	Data      []byte
}

type channelExtended struct {
	Recipient uint32 `sshtype:"95"`
	Kind      uint32
	Data      []byte
}

// session opens a channel and returns the server's number for it.
func (c *raw) session(t testing.TB) uint32 {
	t.Helper()
	if err := c.send(channelOpen{Type: "session", Window: 1 << 30, MaxPacket: 1 << 15}); err != nil {
		t.Fatal(err)
	}
	p, err := c.want(91)
	if err != nil {
		t.Fatal(err)
	}
	var confirm channelConfirm
	if err := gossh.Unmarshal(p, &confirm); err != nil {
		t.Fatal(err)
	}
	return confirm.Sender
}

// exec runs a command on an open channel and returns its output.
func (c *raw) exec(t testing.TB, channel uint32, line string) string {
	t.Helper()
	if err := c.send(channelRequest{channel, "exec", true, gossh.Marshal(struct{ S string }{line})}); err != nil {
		t.Fatal(err)
	}
	var out []byte
	for {
		p, err := c.receive()
		if err != nil {
			t.Fatal(err)
		}
		switch p[0] {
		case 94:
			var data channelData
			if err := gossh.Unmarshal(p, &data); err != nil {
				t.Fatal(err)
			}
			out = append(out, data.Data...)
		case 97:
			return string(out)
		}
	}
}
