package authkeys

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dnsgate/internal/plain"
	"dnsgate/internal/records"
)

// Bounds of what a forced command may say.
const (
	MaxHosts = 10_000                    // hosts in one line
	MaxTTL   = 1<<31 - 1                 // seconds (RFC 2181 section 8)
	MinLease = time.Second               //
	MaxLease = 10 * 365 * 24 * time.Hour // about ten years
)

// ParseCommand reads a forced command, "dnsgate allow [FLAGS] HOST...", "dnsgate
// admin", "dnsgate monitor" or "dnsgate follow NAME...", into a Grant that has nothing
// else. Words are separated by spaces and tabs; there is no quoting.
func ParseCommand(command string) (Grant, error) {
	words := strings.FieldsFunc(command, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) < 2 || words[0] != "dnsgate" {
		return Grant{}, fmt.Errorf(`the command %s is none of "dnsgate allow [FLAGS] HOST...", "dnsgate admin", "dnsgate monitor" and "dnsgate follow NAME..."`, quote(command))
	}
	switch words[1] {
	case "allow":
		return ParseAllow(words[2:])
	case "admin", "monitor":
		if len(words) > 2 {
			return Grant{}, fmt.Errorf(`"dnsgate %s" takes no arguments, and here is %s`, words[1], quote(words[2]))
		}
		return Grant{Admin: words[1] == "admin", Monitor: words[1] == "monitor"}, nil
	case "follow":
		return ParseFollow(words[2:])
	}
	return Grant{}, fmt.Errorf("%s is not a forced command; dnsgate allow, dnsgate admin, dnsgate monitor and dnsgate follow are", quote(words[0]+" "+words[1]))
}

// ParseFollow reads the words after "dnsgate follow": at least one exact name or
// suffix. Wildcards and challenges are not named: each name includes its own.
func ParseFollow(words []string) (Grant, error) {
	g := Grant{Follow: true}
	for _, word := range words {
		switch {
		case strings.HasPrefix(word, "-"):
			return Grant{}, fmt.Errorf(`"dnsgate follow" takes no flags, and here is %s`, quote(word))
		case strings.HasPrefix(word, "*"):
			return Grant{}, fmt.Errorf(`%s: "dnsgate follow" takes names and .suffixes; each includes its wildcard`, quote(word))
		}
		if err := g.addHost(word); err != nil {
			return Grant{}, err
		}
	}
	if len(g.Hosts)+len(g.Suffixes) == 0 {
		return Grant{}, errors.New(`"dnsgate follow" names no host`)
	}
	return g, checkTwice(g.Patterns())
}

// ParseAllow reads the words after "dnsgate allow": flags, each at most once, and at
// least one host.
func ParseAllow(words []string) (Grant, error) {
	var g Grant
	var flags []string
	for _, word := range words {
		if !strings.HasPrefix(word, "-") {
			if err := g.addHost(word); err != nil {
				return Grant{}, err
			}
			continue
		}
		name, value, hasValue := strings.Cut(word, "=")
		if slices.Contains(flags, name) {
			return Grant{}, fmt.Errorf("the flag %s is there twice", name)
		}
		flags = append(flags, name)
		if err := g.setFlag(name, value, hasValue); err != nil {
			return Grant{}, err
		}
	}
	if len(g.Hosts)+len(g.Suffixes) == 0 {
		return Grant{}, errors.New(`"dnsgate allow" names no host`)
	}
	return g, checkTwice(g.Patterns())
}

func (g *Grant) addHost(word string) error {
	if len(g.Hosts)+len(g.Suffixes) == MaxHosts {
		return fmt.Errorf("more than %d hosts", MaxHosts)
	}
	if strings.HasPrefix(word, ".") {
		name, err := records.ParseSuffix(word)
		g.Suffixes = append(g.Suffixes, name)
		return err
	}
	name, err := records.ParseOwner(word)
	g.Hosts = append(g.Hosts, name)
	return err
}

func (g *Grant) setFlag(name, value string, hasValue bool) error {
	switch name {
	case "--private", "--acme", "--read-only":
		if hasValue {
			return fmt.Errorf("the flag %s takes no value", name)
		}
	case "--ttl", "--address", "--lease":
		if !hasValue {
			return fmt.Errorf("the flag %[1]s needs its value behind an equals sign: %[1]s=VALUE", name)
		}
	}
	var err error
	switch name {
	case "--private":
		g.Private = true
	case "--acme":
		g.ACME = true
	case "--read-only":
		g.ReadOnly = true
	case "--ttl":
		g.HasTTL = true
		g.TTL, err = parseTTL(value)
	case "--address":
		g.Address, err = parseAddressRule(value)
	case "--lease":
		g.Lease, err = parseLease(value)
	default:
		err = fmt.Errorf("unknown flag %s; known are --ttl=SECONDS, --address=any|peer|match, --private, --acme, --lease=DURATION and --read-only", quote(name))
	}
	return err
}

func parseTTL(value string) (uint32, error) {
	ttl, err := strconv.ParseUint(value, 10, 32)
	if err != nil || ttl > MaxTTL {
		return 0, fmt.Errorf("%s is not a number of seconds from 0 to %d", quote("--ttl="+value), MaxTTL)
	}
	return uint32(ttl), nil
}

func parseAddressRule(value string) (AddressRule, error) {
	i := slices.Index(addressRules[:], value)
	if i < 0 {
		return 0, fmt.Errorf("%s is none of any, peer and match", quote("--address="+value))
	}
	return AddressRule(i), nil
}

// parseLease reads a duration in Go's syntax, or a plain number of seconds.
func parseLease(value string) (time.Duration, error) {
	text := value
	if strings.Trim(text, "0123456789") == "" {
		text += "s"
	}
	lease, err := time.ParseDuration(text)
	if err != nil || lease < MinLease || lease > MaxLease || lease%time.Second != 0 {
		return 0, fmt.Errorf("%s is not a duration in whole seconds from 1s to %dh, such as 600, 90m or 36h",
			quote("--lease="+value), MaxLease/time.Hour)
	}
	return lease, nil
}

func checkTwice(patterns []string) error {
	slices.Sort(patterns)
	for i := 1; i < len(patterns); i++ {
		if patterns[i] == patterns[i-1] {
			return fmt.Errorf("the host %s is there twice", patterns[i])
		}
	}
	return nil
}

// Command is the forced command that ParseCommand reads as g.
func (g Grant) Command() string {
	switch {
	case g.Admin:
		return "dnsgate admin"
	case g.Monitor:
		return "dnsgate monitor"
	case g.Follow:
		return "dnsgate follow " + strings.Join(g.Patterns(), " ")
	}
	words := []string{"dnsgate", "allow"}
	add := func(set bool, format string, args ...any) {
		if set {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(g.HasTTL, "--ttl=%d", g.TTL)
	add(g.Address != AnyAddress, "--address=%s", g.Address)
	add(g.Private, "--private")
	add(g.ACME, "--acme")
	add(g.Lease > 0, "--lease=%s", g.Lease)
	add(g.ReadOnly, "--read-only")
	return strings.Join(append(words, g.Patterns()...), " ")
}

func quote(s string) string { return plain.Quoted(s) }
