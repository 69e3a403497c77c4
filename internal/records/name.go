// Package records has the words that all packages share: names, addresses, the record
// sets of each host, changes and their text, and the Store that keeps them durably and
// tells its followers of each change.
package records

import (
	"errors"
	"fmt"
	"strings"

	"dnsgate/internal/idn"
	"dnsgate/internal/plain"
)

// Name is a DNS owner name in dnsgate's one canonical form: lower case, no
// final dot, at least two labels. It is a hostname (RFC 1123 section 2.1), or
// a hostname behind "*." (RFC 4592) or behind "_acme-challenge." (RFC 8555
// section 8.4). Only the Parse functions and Challenge make one.
type Name string

// Limits of RFC 1035 section 2.3.4, for names without the final dot.
const (
	MaxName  = 253 // bytes
	MaxLabel = 63  // bytes
)

const (
	wildcardPrefix  = "*."
	challengePrefix = "_acme-challenge."
)

// ErrNotName is wrapped by every error of ParseName, ParseOwner and Challenge.
var ErrNotName = errors.New("not a fully qualified hostname")

// ParseName reads a hostname: letters, digits and hyphens in at least two
// labels, the last of them not all digits. One final dot is accepted.
func ParseName(s string) (Name, error) { return parse(s, s) }

// parse reads the hostname that is part of what was typed.
func parse(host, typed string) (Name, error) {
	if why := idn.Explain(typed); why != "" {
		return "", fmt.Errorf("%q is %w: it is not ASCII: %s", clip(typed), ErrNotName, why)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if err := checkHostname(host); err != nil {
		return "", fmt.Errorf("%q is %w: %s", clip(typed), ErrNotName, err)
	}
	return Name(host), nil
}

// ParseSuffix reads ".name", which stands for any name below it, and returns
// that name.
func ParseSuffix(s string) (Name, error) {
	base, dot := strings.CutPrefix(s, ".")
	if !dot {
		return "", fmt.Errorf("%q is no suffix: it does not begin with a dot", clip(s))
	}
	return parse(base, s)
}

// ParseOwner reads a hostname, or a hostname behind "*.".
func ParseOwner(s string) (Name, error) {
	base, wild := strings.CutPrefix(s, wildcardPrefix)
	name, err := parse(base, s)
	if err != nil {
		return "", err
	}
	if !wild {
		return name, nil
	}
	if len(name)+len(wildcardPrefix) > MaxName {
		return "", fmt.Errorf("%q is %w: longer than %d bytes", clip(s), ErrNotName, MaxName)
	}
	return wildcardPrefix + name, nil
}

// ParseStored reads any Name, a challenge name included, as the store, its
// backups and its change lines hold it.
func ParseStored(s string) (Name, error) {
	base, challenge := strings.CutPrefix(s, challengePrefix)
	if !challenge {
		return ParseOwner(s)
	}
	name, err := parse(base, s)
	if err != nil {
		return "", err
	}
	return name.Challenge()
}

// Challenge returns the name where an ACME server looks for the TXT record
// that proves control of n (RFC 8555 section 8.4).
func (n Name) Challenge() (Name, error) {
	if len(n)+len(challengePrefix) > MaxName {
		return "", fmt.Errorf("%q is %w: %s%s is longer than %d bytes",
			clip(string(n)), ErrNotName, challengePrefix, "NAME", MaxName)
	}
	return challengePrefix + n, nil
}

// Host returns the hostname that n belongs to: n without "*." or
// "_acme-challenge.".
func (n Name) Host() Name {
	s := strings.TrimPrefix(string(n), wildcardPrefix)
	return Name(strings.TrimPrefix(s, challengePrefix))
}

// IsWildcard reports whether n is the wildcard record of a hostname.
func (n Name) IsWildcard() bool { return strings.HasPrefix(string(n), wildcardPrefix) }

// IsChallenge reports whether n is the ACME challenge name of a hostname.
func (n Name) IsChallenge() bool { return strings.HasPrefix(string(n), challengePrefix) }

// Below reports whether n lies under parent; a name is not below itself.
func (n Name) Below(parent Name) bool {
	rest, ok := strings.CutSuffix(string(n), string(parent))
	return ok && strings.HasSuffix(rest, ".")
}

func checkHostname(host string) error {
	if host == "" {
		return errors.New("it is empty")
	}
	if len(host) > MaxName {
		return fmt.Errorf("longer than %d bytes", MaxName)
	}
	labels := 0
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if err := checkLabel(label); err != nil {
			return err
		}
		labels, last = labels+1, label
	}
	if labels < 2 {
		return errors.New("it has no domain; give the whole name, such as host.example.com")
	}
	if strings.Trim(last, "0123456789") == "" {
		return errors.New("its last label is a number")
	}
	return nil
}

func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("it has an empty label")
	case len(label) > MaxLabel:
		return fmt.Errorf("a label is longer than %d bytes", MaxLabel)
	case label[0] == '-' || label[len(label)-1] == '-':
		return errors.New("a label begins or ends with a hyphen")
	}
	for i := range len(label) {
		c := label[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("%q may not stand in a hostname", c)
		}
	}
	return nil
}

// clip keeps error messages short when the input is not.
func clip(s string) string { return plain.Short(s, 80) }

// First lists the first names, and says how many more than most there are.
func First(names []Name, most int, separator string) string {
	var text strings.Builder
	for i, name := range names[:min(most, len(names))] {
		if i > 0 {
			text.WriteString(separator)
		}
		text.WriteString(string(name))
	}
	if more := len(names) - most; more > 0 {
		fmt.Fprintf(&text, " and %d more", more)
	}
	return text.String()
}
