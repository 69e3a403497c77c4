package rfc2136

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"dnsgate/internal/records"
)

// Only this file knows the DNS library: it makes, signs and judges messages. They are
// signed and verified as byte slices and not through dns.Conn, which chains the
// previous message's MAC into the next one, as only zone transfers do (RFC 8945 section
// 5.3.1).

// fudge is how far the server's clock may be from ours, and so how long a
// signed update stays acceptable (RFC 8945 section 10 recommends 300 s).
const fudge = 300 * time.Second

// maxMessage is the longest message over TCP (RFC 1035 section 4.2.2).
const maxMessage = 1<<16 - 1

// An update is one UPDATE message.
type update struct {
	msg *dns.Msg
	at  time.Time // when it was signed
	mac string    // of the signed message, in hexadecimal; the answer's MAC covers it
}

// newUpdate makes the UPDATE that replaces the record sets of hosts, of the
// types that each has or had.
//
// A server ignores new records at a name that has a CNAME, and answers NOERROR
// (RFC 2136 section 3.4.2.2). So that NOERROR means served, a prerequisite for
// each host with records says that it has no CNAME.
func newUpdate(zone string, hosts []records.Host) (*update, error) {
	msg := new(dns.Msg).SetUpdate(dns.Fqdn(zone))
	msg.Compress = true
	for _, host := range hosts {
		owner := dns.Fqdn(string(host.Name))
		if len(host.Records) > 0 {
			msg.Answer = append(msg.Answer, emptyRecord(owner, dns.TypeCNAME, dns.ClassNONE))
		}
		for _, t := range typesOf(host) {
			msg.Ns = append(msg.Ns, emptyRecord(owner, uint16(t), dns.ClassANY))
		}
		for _, record := range host.Records {
			if t := record.Type(); !manages(host.Name, t) {
				return nil, hostError{fmt.Errorf("a %s record is never published at such a name", t)}
			}
			msg.Ns = append(msg.Ns, resourceRecord(owner, host.TTL, record))
		}
	}
	return &update{msg: msg}, nil
}

// emptyRecord has no data: with class ANY it deletes a record set (RFC 2136
// section 2.5.2), with class NONE it requires that the set does not exist (2.4.3).
func emptyRecord(owner string, rrtype, class uint16) dns.RR {
	return &dns.ANY{Hdr: dns.RR_Header{Name: owner, Rrtype: rrtype, Class: class}}
}

func resourceRecord(owner string, ttl uint32, r records.Record) dns.RR {
	header := dns.RR_Header{Name: owner, Rrtype: uint16(r.Type()), Class: dns.ClassINET, Ttl: ttl}
	switch r.Type() {
	case records.A:
		return &dns.A{Hdr: header, A: net.IP(r.Addr.AsSlice())}
	case records.AAAA:
		return &dns.AAAA{Hdr: header, AAAA: net.IP(r.Addr.AsSlice())}
	}
	return &dns.TXT{Hdr: header, Txt: []string{r.Text}}
}

var errTooLong = errors.New("the record sets do not fit into one message of 64 KiB")

// sign returns the message's bytes, signed with key at now.
func (u *update) sign(key tsigKey, now time.Time) ([]byte, error) {
	u.msg.SetTsig(dns.Fqdn(key.name), dns.Fqdn(key.algorithm), uint16(fudge/time.Second), now.Unix())
	signed, mac, err := dns.TsigGenerateWithProvider(u.msg, key, "", false)
	if err != nil {
		return nil, hostError{fmt.Errorf("making the update: %w", err)}
	}
	if len(signed) > maxMessage {
		return nil, hostError{errTooLong}
	}
	u.mac, u.at = mac, now
	return signed, nil
}

// judge returns nil when answer says, signed with key, that the server has
// applied u, and else an error that says why not. It overwrites answer.
func (u *update) judge(answer []byte, key tsigKey) error {
	var msg dns.Msg
	if err := msg.Unpack(answer); err != nil {
		return unjudgedError{fmt.Errorf("the answer is not a DNS message: %w", err)}
	}
	if !msg.Response || msg.Opcode != dns.OpcodeUpdate || msg.Id != u.msg.Id {
		return unjudgedError{errors.New("the answer is none to this update: is this a DNS server?")}
	}
	tsig := msg.IsTsig()
	switch {
	case msg.Rcode == dns.RcodeNotAuth && tsig != nil && tsig.Error != 0:
		return u.signatureRefused(tsig)
	case tsig == nil && rcode(msg.Rcode) == refused:
		return unsignedRefusal{u.at}
	case msg.Rcode == dns.RcodeNotAuth || tsig == nil && msg.Rcode != dns.RcodeSuccess:
		// Some servers sign no refusals. Anybody who forged one could as well have cut
		// the connection.
		return rcode(msg.Rcode).asError()
	case tsig == nil:
		return unjudgedError{errors.New("the answer is not signed, so it is not believed: is TSIG set up on the server?")}
	}
	err := dns.TsigVerifyWithProvider(answer, key, u.mac, false)
	switch {
	case errors.Is(err, dns.ErrTime):
		return clockSkew(time.Now(), time.Unix(int64(tsig.TimeSigned), 0))
	case err != nil:
		return unjudgedError{fmt.Errorf("the answer's signature is wrong, so it is not believed: %w", err)}
	case tsig.Error != 0:
		return u.signatureRefused(tsig)
	case msg.Rcode != dns.RcodeSuccess:
		return rcode(msg.Rcode).asError()
	}
	return nil
}

// unjudgedError is an answer that says nothing about the update. The next message on
// that connection may be the answer to it, so the connection ends.
type unjudgedError struct{ error }

func (e unjudgedError) Unwrap() error { return e.error }

// signatureRefused explains the error field of an answer's TSIG record.
func (u *update) signatureRefused(tsig *dns.TSIG) error {
	if tsig.Error == dns.RcodeBadTime && tsig.OtherLen == 6 { // the server's time, in 48 bits
		if theirs, err := strconv.ParseInt(tsig.OtherData, 16, 64); err == nil {
			return clockSkew(u.at, time.Unix(theirs, 0))
		}
	}
	return tsigError(tsig.Error).asError()
}

// tsigHashes are the algorithms of RFC 8945 section 6 that are not broken and
// not about to be.
var tsigHashes = map[string]func() hash.Hash{
	"hmac-sha256": sha256.New,
	"hmac-sha384": sha512.New384,
	"hmac-sha512": sha512.New,
}

// A tsigKey signs messages. It implements dns.TsigProvider, so that a secret
// never becomes text, and an answer counts only with this very key, with its
// algorithm, and with a MAC of full length.
type tsigKey struct {
	name      string // lower case, no final dot
	algorithm string // a key of tsigHashes
	secret    []byte
}

// String keeps the secret out of logs and errors.
func (k tsigKey) String() string { return k.name + " (" + k.algorithm + ")" }

// GoString is String, for %#v.
func (k tsigKey) GoString() string { return k.String() }

// Generate returns the MAC of msg.
func (k tsigKey) Generate(msg []byte, _ *dns.TSIG) ([]byte, error) {
	mac := hmac.New(tsigHashes[k.algorithm], k.secret)
	mac.Write(msg)
	return mac.Sum(nil), nil
}

// Verify checks the MAC in t.
func (k tsigKey) Verify(msg []byte, t *dns.TSIG) error {
	if !strings.EqualFold(strings.TrimSuffix(t.Hdr.Name, "."), k.name) {
		return errors.New("another key")
	}
	got, err := hex.DecodeString(t.MAC)
	if err != nil {
		return err
	}
	if want, _ := k.Generate(msg, t); !hmac.Equal(got, want) {
		return errors.New("another secret, or a changed message")
	}
	return nil
}
