package authkeys

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"
)

// minRSA is the length, in bits, of the shortest RSA key that is accepted.
const minRSA = 2048

// securityKeys are the types of keys in FIDO authenticators.
var securityKeys = map[string]bool{ssh.KeyAlgoSKED25519: true, ssh.KeyAlgoSKECDSA256: true}

// keyTypes are the accepted types of keys.
var keyTypes = map[string]bool{
	ssh.KeyAlgoED25519: true, ssh.KeyAlgoSKED25519: true,
	ssh.KeyAlgoECDSA256: true, ssh.KeyAlgoECDSA384: true, ssh.KeyAlgoECDSA521: true,
	ssh.KeyAlgoSKECDSA256: true, ssh.KeyAlgoRSA: true,
}

// parseLine reads one line that holds a key, without its line end. If the line is
// refused for another reason than its key, the key is returned too, and the grant has
// only its fingerprint and comment.
func parseLine(line string) (Grant, ssh.PublicKey, error) {
	line = strings.Trim(line, " \t\r")
	if err := checkForeign(line); err != nil {
		return Grant{}, nil, err
	}
	if strings.Contains(line, "\x00") {
		return Grant{}, nil, errors.New("there is a NUL byte in the line")
	}
	options, rest := "", line
	if !startsWithKeyType(line) {
		var err error
		if options, rest, err = cutOptions(line); err != nil {
			return Grant{}, nil, err
		}
	}
	key, comment, keyErr := ParseKey(rest)
	g, err := parseOptions(options)
	if keyErr != nil {
		if err == nil || errors.Is(err, errNoCommand) {
			err = keyErr
		}
		return Grant{}, nil, err
	}
	fingerprint := ssh.FingerprintSHA256(key)
	if err == nil && g.NoTouchRequired && !g.CA && !securityKeys[key.Type()] {
		err = fmt.Errorf("no-touch-required is for security keys (sk-...), and this one is %s", key.Type())
	}
	if err != nil {
		return Grant{Fingerprint: fingerprint, Comment: comment}, key, err
	}
	g.Fingerprint, g.Comment = fingerprint, comment
	return g, key, nil
}

// startsWithKeyType recognizes a line without options, as in a public key file.
func startsWithKeyType(line string) bool {
	return slices.ContainsFunc([]string{"ssh-", "ecdsa-", "sk-"}, func(prefix string) bool { return strings.HasPrefix(line, prefix) })
}

// ParseKey reads a public key in the form of a .pub file: type, base64 and comment. It
// refuses keys that authorized_keys may not hold.
func ParseKey(text string) (key ssh.PublicKey, comment string, err error) {
	text = strings.Trim(text, " \t\r\n")
	if err := checkForeign(text); err != nil {
		return nil, "", err
	}
	if strings.Contains(text, "\n") {
		return nil, "", errors.New("there is more than one line; give one key")
	}
	kind, rest := cutWord(text)
	blob, comment := cutWord(rest)
	if kind == "" || blob == "" {
		return nil, "", errors.New("there is no key behind the options: a type and base64 text are missing")
	}
	if err := checkKeyType(kind); err != nil {
		return nil, "", err
	}
	wire, err := base64.StdEncoding.Strict().DecodeString(blob)
	if err != nil {
		return nil, "", fmt.Errorf("the key's base64 text is damaged: %w", err)
	}
	key, err = ssh.ParsePublicKey(wire)
	if err != nil {
		return nil, "", fmt.Errorf("the key is damaged: %s", quote(err.Error()))
	}
	if key.Type() != kind {
		return nil, "", fmt.Errorf("the key is %s, but the line says %s", key.Type(), kind)
	}
	if !bytes.Equal(key.Marshal(), wire) {
		return nil, "", errors.New("the key is not encoded as ssh-keygen does")
	}
	if err := checkRSA(key); err != nil {
		return nil, "", err
	}
	return key, printable(comment), nil
}

func checkKeyType(kind string) error {
	switch {
	case keyTypes[kind]:
		return nil
	case kind == "ssh-dss":
		return errors.New("DSA keys are too weak; make one with ssh-keygen -t ed25519")
	case strings.Contains(kind, "-cert-v01@"):
		return errors.New("certificates are not accepted; give the key itself")
	case strings.ContainsAny(kind, `="`):
		return fmt.Errorf("%s is no key type; if it is an option, only a comma may stand before it", quote(kind))
	}
	return fmt.Errorf("unknown key type %s", quote(kind))
}

func checkRSA(key ssh.PublicKey) error {
	if key.Type() != ssh.KeyAlgoRSA {
		return nil
	}
	public, ok := key.(ssh.CryptoPublicKey).CryptoPublicKey().(*rsa.PublicKey)
	if !ok {
		return errors.New("the RSA key cannot be read")
	}
	if bits := public.N.BitLen(); bits < minRSA {
		return fmt.Errorf("the RSA key has %d bits, fewer than %d; make one with ssh-keygen -t ed25519", bits, minRSA)
	}
	return nil
}

// cutWord splits text at its first run of spaces and tabs.
func cutWord(text string) (word, rest string) {
	i := strings.IndexAny(text, " \t")
	if i < 0 {
		return text, ""
	}
	return text[:i], strings.TrimLeft(text[i:], " \t")
}

// printable makes a comment safe to show, and independent of the line.
func printable(comment string) string {
	return strings.Clone(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, comment))
}

// FormatLine is the line that grants g to key, without its line end.
func FormatLine(g Grant, key ssh.PublicKey) string {
	line := g.Options() + " " + publicKeyText(key)
	if g.Comment != "" {
		line += " " + g.Comment
	}
	return line
}

// publicKeyText is key in the form of a .pub file, without a comment.
func publicKeyText(key ssh.PublicKey) string {
	return strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
}
