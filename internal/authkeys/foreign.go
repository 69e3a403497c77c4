package authkeys

import (
	"errors"
	"strings"
)

// foreign are the beginnings of key files in other formats than ssh-keygen's, and the
// remedy for each.
var foreign = []struct{ begins, remedy string }{
	{"---- BEGIN SSH2 PUBLIC KEY", "this is a public key in the format of RFC 4716; give what this prints: ssh-keygen -i -f FILE"},
	{"---- BEGIN SSH2 ", "this is a private key, in ssh.com's format: keep it to its owner; give what this prints: puttygen FILE -O public-openssh"},
	{"PuTTY-User-Key-File-", "this is a .ppk file of PuTTY, which holds the private key: keep it to its owner; give what this prints: puttygen FILE -O public-openssh"},
	{"-----BEGIN PUBLIC KEY", "this is a public key in PKCS8 format; give what this prints: ssh-keygen -i -m PKCS8 -f FILE"},
	{"-----BEGIN RSA PUBLIC KEY", "this is a public key in PEM format; give what this prints: ssh-keygen -i -m PEM -f FILE"},
	{"-----BEGIN", "this is not a public key; give the file that ends in .pub"},
	{"\ufeff", "the file begins with a byte order mark; save it as UTF-8 without one"},
	{"\xff\xfe", "the file is UTF-16; save it as UTF-8, without a byte order mark"},
}

// checkForeign recognizes text in another format than ssh-keygen's public keys.
func checkForeign(text string) error {
	for _, f := range foreign {
		if strings.HasPrefix(text, f.begins) {
			return errors.New(f.remedy)
		}
	}
	return nil
}
