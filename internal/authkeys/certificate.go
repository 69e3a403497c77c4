package authkeys

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"dnsgate/internal/records"

	"golang.org/x/crypto/ssh"
)

// Bounds of a certificate. The whole of it must fit into a packet before the login.
const (
	MaxPrincipals  = 100
	MaxCertificate = 6 << 10 // bytes
)

// ErrCertificate is wrapped by Lookup's error for a certificate that is refused
// whatever its CA may grant.
var ErrCertificate = errors.New("the certificate is refused")

// Certificate identifies the certificate that let a key in.
type Certificate struct {
	ID     string // the CA's name for it; any bytes
	Serial uint64
	CA     string // fingerprint
	From   string // its source-address; empty: any source
}

// Certified is a key with its certificate. Everything is checked already that depends
// neither on the time nor on the CA's line: see Certify.
type Certified struct {
	*ssh.Certificate
	names   []records.Name // those of its principals that are hostnames
	sources *sources       // of source-address; nil: any
}

// Certify checks a certificate's form, bounds and strength, and its CA's signature. The
// result may be looked up any number of times without these checks being repeated. The
// error wraps ErrCertificate.
func Certify(key ssh.PublicKey) (*Certified, error) {
	if c, ok := key.(*Certified); ok {
		return c, nil
	}
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		return nil, fmt.Errorf("%w: it is a plain key", ErrCertificate)
	}
	c := &Certified{Certificate: cert}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return c, nil
}

func (c *Certified) check() error {
	if c.CertType != ssh.UserCert {
		return errors.New("it is not a user's certificate; sign it without ssh-keygen -h")
	}
	for _, part := range []struct {
		of  string
		key ssh.PublicKey
	}{{"its key", c.Key}, {"its CA", c.SignatureKey}} {
		err := checkKeyType(part.key.Type())
		if err == nil {
			err = checkRSA(part.key)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part.of, err)
		}
	}
	switch {
	case len(c.Marshal()) > MaxCertificate:
		return fmt.Errorf("it is longer than %d bytes", MaxCertificate)
	case len(c.ValidPrincipals) == 0:
		return errors.New("it names no principal; sign it with ssh-keygen -n HOST")
	case len(c.ValidPrincipals) > MaxPrincipals:
		return fmt.Errorf("it names %d principals, more than %d", len(c.ValidPrincipals), MaxPrincipals)
	}
	if err := c.checkOptions(); err != nil {
		return err
	}
	for _, principal := range c.ValidPrincipals {
		if name, err := records.ParseOwner(principal); err == nil && !slices.Contains(c.names, name) {
			c.names = append(c.names, name)
		}
	}
	return c.checkSignature()
}

const (
	sourceAddress   = "source-address"
	noTouchRequired = "no-touch-required"
)

// checkOptions reads the critical options (PROTOCOL.certkeys of OpenSSH).
func (c *Certified) checkOptions() error {
	for name, value := range c.CriticalOptions {
		if name != sourceAddress {
			return fmt.Errorf("the critical option %s is not supported", quote(name))
		}
		for element := range strings.SplitSeq(value, ",") {
			if strings.Trim(element, "0123456789abcdefABCDEF.:/") != "" {
				return fmt.Errorf("source-address holds %s, which is not a network", quote(element))
			}
		}
		var err error
		if c.sources, err = parseSources(value); err == nil && c.sources.broken != "" {
			err = errors.New(c.sources.broken)
		}
		if err != nil {
			return fmt.Errorf("source-address: %s", strings.TrimPrefix(err.Error(), "from: "))
		}
	}
	return nil
}

// checkSignature lets the library verify the certificate as of its first second.
// Whether it is valid now is asked at each command. Apart from this only the form of
// the principals is left for the library to check.
func (c *Certified) checkSignature() error {
	format := c.Signature.Format
	if format == ssh.KeyAlgoRSA || !keyTypes[format] && format != ssh.KeyAlgoRSASHA256 && format != ssh.KeyAlgoRSASHA512 {
		return fmt.Errorf("its CA has signed with %s; sign it with ssh-keygen -t rsa-sha2-512, or by another kind of CA", quote(format))
	}
	if c.ValidAfter > math.MaxInt64 {
		return errors.New("it is never valid")
	}
	checker := ssh.CertChecker{
		SupportedCriticalOptions: []string{sourceAddress},
		Clock:                    func() time.Time { return time.Unix(int64(c.ValidAfter), 0) },
	}
	return checker.CheckCert(c.ValidPrincipals[0], c.Certificate)
}

// grant is the grant of c by a CA's line.
func (c *Certified) grant(line Grant, source netip.Addr, now time.Time) (Grant, error) {
	switch unix := uint64(max(now.Unix(), 0)); {
	case unix < c.ValidAfter:
		return Grant{}, c.errorf("%w: it is not valid before %s", ErrCertificate, unixTime(c.ValidAfter).Format(time.RFC3339))
	case unix >= c.ValidBefore:
		return Grant{}, c.errorf("%w at %s", ErrExpired, unixTime(c.ValidBefore).Format(time.RFC3339))
	case !c.sources.admit(source):
		return Grant{}, c.errorf("%w: %s is not in its source-address %q", ErrSource, source.Unmap(), c.CriticalOptions[sourceAddress])
	}
	_, untouched := c.Extensions[noTouchRequired]
	if untouched && !line.NoTouchRequired && securityKeys[c.Key.Type()] {
		// The library would accept a signature without a touch because of the
		// extension.
		return Grant{}, c.errorf("%w: it has no-touch-required, and the line of its CA has not", ErrCertificate)
	}
	g := line
	g.CA, g.NoTouchRequired = false, untouched && line.NoTouchRequired
	g.Hosts, g.Suffixes = nil, nil
	for _, name := range c.names {
		if line.Covers(name) {
			g.Hosts = append(g.Hosts, name)
		}
	}
	if len(g.Hosts) == 0 {
		return Grant{}, c.errorf("%w: the line of its CA is for none of its principals", ErrCertificate)
	}
	g.Fingerprint = ssh.FingerprintSHA256(c.Key)
	g.Certificate = &Certificate{ID: c.KeyId, Serial: c.Serial, CA: line.Fingerprint, From: c.CriticalOptions[sourceAddress]}
	if last := unixTime(c.ValidBefore - 1); c.ValidBefore != ssh.CertTimeInfinity && (g.Expires.IsZero() || last.Before(g.Expires)) {
		g.Expires = last
	}
	return g, nil
}

// Narrow is the grant of a line that another program believes: it has proven key by its
// certificate and trusts the line's CA. See Lookup.
func (c *Certified) Narrow(line Grant, source netip.Addr, now time.Time) (Grant, error) {
	if !line.allows() {
		return Grant{}, fmt.Errorf("%w: cert-authority goes with dnsgate allow alone", ErrCertificate)
	}
	line.Fingerprint = ssh.FingerprintSHA256(c.SignatureKey)
	line.NoTouchRequired = true // that program has asked for the touch, or decided not to
	return c.grant(line, source, now)
}

// unixTime is a second of a certificate, or the end of the year 9999.
func unixTime(second uint64) time.Time {
	return time.Unix(int64(min(second, 253_402_300_799)), 0).UTC()
}

func (c *Certified) errorf(format string, args ...any) error {
	return fmt.Errorf("certificate %s, serial %d: %w", quote(c.KeyId), c.Serial, fmt.Errorf(format, args...))
}

// allows reports whether the forced command is "dnsgate allow", the only one that
// certificates may narrow.
func (g Grant) allows() bool { return strings.HasPrefix(g.Command(), "dnsgate allow ") }

func isCertificate(key ssh.PublicKey) bool {
	switch key.(type) {
	case *ssh.Certificate, *Certified:
		return true
	}
	return false
}

// Plain is the key that is proven with key: itself, or the one that it certifies.
func Plain(key ssh.PublicKey) ssh.PublicKey {
	switch k := key.(type) {
	case *Certified:
		return k.Key
	case *ssh.Certificate:
		return k.Key
	}
	return key
}

// inFile is the fingerprint of key's line in the file: its own, or its CA's.
func inFile(key ssh.PublicKey) string {
	switch k := key.(type) {
	case *Certified:
		key = k.SignatureKey
	case *ssh.Certificate:
		key = k.SignatureKey
	}
	return ssh.FingerprintSHA256(key)
}

// maxShownID is how many characters of a certificate's id are kept in the history.
const maxShownID = 80

// maxLoggedID is how many bytes of it are logged.
const maxLoggedID = 256

// Key is the grant's key as one word for the history: the fingerprint, followed by the
// certificate that let it in, as in "SHA256:...;serial=7;id=lab%20laptop".
func (g Grant) Key() string {
	if g.Certificate == nil {
		return g.Fingerprint
	}
	return g.Fingerprint + ";serial=" + strconv.FormatUint(g.Certificate.Serial, 10) + ";id=" + g.Certificate.word()
}

// word is the id in printable characters without blanks, others as %XX. A longer id
// ends in "...".
func (c *Certificate) word() string {
	var b strings.Builder
	for i := range len(c.ID) {
		if b.Len() > maxShownID-3 {
			b.WriteString("...")
			break
		}
		if ch := c.ID[i]; ch <= ' ' || ch > '~' || ch == '%' || ch == ';' {
			fmt.Fprintf(&b, "%%%02X", ch)
		} else {
			b.WriteByte(ch)
		}
	}
	return b.String()
}

// LogAttrs describes g's owner for a log, as key and value pairs.
func (g Grant) LogAttrs() []any {
	attrs := []any{"key", g.Fingerprint, "comment", g.Comment}
	if c := g.Certificate; c != nil {
		attrs = append(attrs, "certificate", c.ID[:min(len(c.ID), maxLoggedID)], "serial", c.Serial)
	}
	return attrs
}
