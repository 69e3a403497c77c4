package rfc2136

import (
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dnsgate/internal/records"
)

// between is the address of a peer between dnsgate and server. pass has the two ends of
// each connection, which are closed when it returns.
func between(t *testing.T, server string, pass func(client, upstream net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				upstream, err := net.Dial("tcp", server)
				if err != nil {
					return
				}
				defer upstream.Close()
				pass(client, upstream)
			}()
		}
	}()
	return listener.Addr().String()
}

// relay passes each answer through tamper before it goes on to dnsgate. A nil answer
// ends the connection instead.
func relay(t *testing.T, server string, tamper func(request, answer []byte) []byte) string {
	t.Helper()
	return between(t, server, func(client, upstream net.Conn) {
		for {
			request := readFramed(client)
			if request == nil {
				return
			}
			writeFramed(upstream, request)
			answer := tamper(request, readFramed(upstream))
			if answer == nil {
				return
			}
			writeFramed(client, answer)
		}
	})
}

func readFramed(r io.Reader) []byte {
	var length uint16
	if binary.Read(r, binary.BigEndian, &length) != nil {
		return nil
	}
	message := make([]byte, length)
	if _, err := io.ReadFull(r, message); err != nil {
		return nil
	}
	return message
}

func writeFramed(w io.Writer, message []byte) {
	w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
}

// resigned returns answer with its TSIG record changed and signed anew with
// key, as an answer to request.
func resigned(request, answer []byte, key tsigKey, change func(*dns.TSIG)) []byte {
	var question, msg dns.Msg
	question.Unpack(request)
	msg.Unpack(answer)
	change(msg.IsTsig())
	signed, _, _ := dns.TsigGenerateWithProvider(&msg, key, question.IsTsig().MAC, false)
	return signed
}

// Only an answer that the server itself signed, to this very update, counts.
func TestRFC2136ForgedAnswers(t *testing.T) {
	s := startBIND(t)
	key := func(name, algorithm, secretOf string) tsigKey {
		secret, err := base64.StdEncoding.DecodeString(s.secrets[secretOf])
		if err != nil {
			t.Fatal(err)
		}
		return tsigKey{name: name, algorithm: algorithm, secret: secret}
	}
	gateway := key("gateway", "hmac-sha256", "gateway")
	unsigned := func(_, answer []byte) []byte {
		var msg dns.Msg
		msg.Unpack(answer)
		msg.Extra = nil
		answer, _ = msg.Pack()
		return answer
	}
	var first []byte
	for _, test := range []struct {
		name   string
		key    string // home may not update nas
		tamper func(request, answer []byte) []byte
		want   string
	}{
		{"unsigned", "gateway", unsigned, "not signed"},
		{"unsigned refusal", "home", unsigned, "REFUSED, and unsigned"},
		{"refusal turned round", "home", func(_, b []byte) []byte { b[3] &^= 0xF; return b }, "signature is wrong"},
		{"success turned round", "gateway", func(_, b []byte) []byte { b[3] |= 5; return b }, "signature is wrong"},
		{"answer to an earlier update", "gateway", func(_, b []byte) []byte {
			if first == nil {
				first = slices.Clone(b)
			}
			return append(b[:2:2], first[2:]...)
		}, "signature is wrong"},
		{"another id", "gateway", func(_, b []byte) []byte { b[0] ^= 1; return b }, "none to this update"},
		{"a question", "gateway", func(_, b []byte) []byte { b[2] &^= 0x80; return b }, "none to this update"},
		{"another opcode", "gateway", func(_, b []byte) []byte { b[2] &^= 0x78; return b }, "none to this update"},
		{"another secret", "gateway", func(request, b []byte) []byte {
			return resigned(request, b, key("gateway", "hmac-sha256", "home"), func(*dns.TSIG) {})
		}, "signature is wrong"},
		{"another key name", "gateway", func(request, b []byte) []byte {
			return resigned(request, b, gateway, func(t *dns.TSIG) { t.Hdr.Name = "other." })
		}, "signature is wrong"},
		{"another algorithm", "gateway", func(request, b []byte) []byte {
			return resigned(request, b, key("gateway", "hmac-sha512", "gateway"), func(t *dns.TSIG) { t.Algorithm = dns.HmacSHA512 })
		}, "signature is wrong"},
		{"signed an hour ago", "gateway", func(request, b []byte) []byte {
			return resigned(request, b, gateway, func(t *dns.TSIG) { t.TimeSigned -= 3600 })
		}, "clock skew"},
		{"signed, with an error", "gateway", func(request, b []byte) []byte {
			return resigned(request, b, gateway, func(t *dns.TSIG) { t.Error = dns.RcodeBadTrunc })
		}, "BADTRUNC"},
		{"signed anew", "gateway", func(request, b []byte) []byte {
			return resigned(request, b, gateway, func(*dns.TSIG) {})
		}, ""},
		{"cut short", "gateway", func(_, b []byte) []byte { return b[:len(b)-20] }, "not a DNS message"},
		{"empty", "gateway", func(_, _ []byte) []byte { return []byte{} }, "not a DNS message"},
		{"noise", "gateway", func(_, _ []byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") }, "answer"},
		{"none", "gateway", func(_, _ []byte) []byte { return nil }, "connection ended without an answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var honest atomic.Bool
			between := s.behind(relay(t, s.addr, func(request, answer []byte) []byte {
				if honest.Load() {
					return answer
				}
				return test.tamper(request, answer)
			}))
			r := newUpdater(t, between, func(o *Options) { o.TSIGSecretFile = s.keyFile(test.key) })
			changed := zoneHost("nas", "192.0.2.1")
			if first == nil && strings.HasPrefix(test.name, "answer to") {
				publishHosts(t, r, changed)
			}
			err := r.Publish(t.Context(), []records.Host{changed}, false)
			if test.want == "" { // what the relay signs counts when it signs as the server does
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			explains(t, between, err, test.want)
			honest.Store(true)
			publishHosts(t, r, zoneHost("home", "192.0.2.2"))
		})
	}
}

// An answer that comes byte by byte, over several timeouts, is still whole.
func TestRFC2136DrippingAnswer(t *testing.T) {
	s := startBIND(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		upstream, err := net.Dial("tcp", s.addr)
		if err != nil {
			return
		}
		defer upstream.Close()
		go io.Copy(upstream, client)
		for one := make([]byte, 1); ; {
			if _, err := upstream.Read(one); err != nil {
				return
			}
			client.Write(one)
			time.Sleep(time.Millisecond)
		}
	}()
	between := s.behind(listener.Addr().String())
	r := newUpdater(t, between, func(o *Options) { o.Timeout = 20 * time.Millisecond })
	err = r.Publish(t.Context(), []records.Host{zoneHost("home", "192.0.2.1")}, false)
	explains(t, between, err, "no answer within 20ms, to an update sent ")
	r.stream.timeout = 20 * time.Second
	publishHosts(t, r, zoneHost("home", "192.0.2.2"))
	serves(t, s, "home", "192.0.2.2")
}

// FuzzRFC2136Answer: no answer is a crash, and none but the signed one with
// this header is a success.
func FuzzRFC2136Answer(f *testing.F) {
	key := tsigKey{name: "gateway", algorithm: defaultAlgorithm, secret: make([]byte, 32)}
	request, err := newUpdate(testZone, []records.Host{zoneHost("home", "192.0.2.1")})
	if err != nil {
		f.Fatal(err)
	}
	request.msg.Id = 4711
	at := time.Now()
	if _, err := request.sign(key, at); err != nil {
		f.Fatal(err)
	}
	answer := func(rcode int, tsigError uint16) []byte {
		msg := new(dns.Msg).SetRcode(request.msg, rcode)
		msg.SetTsig("gateway.", "hmac-sha256.", 300, at.Unix())
		msg.IsTsig().Error = tsigError
		signed, _, err := dns.TsigGenerateWithProvider(msg, key, request.mac, false)
		if err != nil {
			f.Fatal(err)
		}
		return signed
	}
	success := answer(dns.RcodeSuccess, 0)
	if err := request.judge(slices.Clone(success), key); err != nil {
		f.Fatal(err)
	}
	f.Add(success)
	f.Add(answer(dns.RcodeRefused, 0))
	f.Add(answer(dns.RcodeNotAuth, dns.RcodeBadKey))
	f.Add(answer(dns.RcodeNotAuth, dns.RcodeBadTime))
	f.Add(answer(dns.RcodeSuccess, dns.RcodeBadTrunc))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := request.judge(slices.Clone(b), key)
		if err == nil && !slices.Equal(b[:12], success[:12]) {
			t.Errorf("believed %x", b)
		}
		if err != nil && forbiddenWords.MatchString(err.Error()) {
			t.Errorf("%q", err)
		}
	})
}
