package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"dnsgate/internal/idn"
	"dnsgate/internal/plain"
)

// optional is check for a text that may be empty.
func optional(check func(string) error) func(string) error {
	return func(s string) error {
		if s == "" {
			return nil
		}
		return check(s)
	}
}

func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("a path is missing")
	case strings.ContainsAny(path, "\x00\n"):
		return errors.New("not a path")
	}
	return nil
}

// checkDataPath keeps what dnsgate writes apart from what tinydns-data does.
func checkDataPath(path string) error {
	switch filepath.Base(path) {
	case ".", "..", "/", "data.cdb", "data.tmp":
		return errors.New("not the name of a data file or folder")
	}
	return checkPath(path)
}

func checkPattern(pattern string) error {
	if _, err := filepath.Match(pattern, ""); err != nil {
		return errors.New("not a path or pattern: a bracket is not closed, or a backslash is last")
	}
	return checkPath(pattern)
}

func checkWord(word string) error {
	if strings.Contains(word, "\x00") {
		return errors.New("not a word of a command")
	}
	return nil
}

// checkAccount wants "NAME" or "NAME:admin". Whether the account exists is asked when
// it is needed.
func checkAccount(s string) error {
	name := strings.TrimSuffix(s, ":admin")
	if name == "" || strings.ContainsAny(name, ": \t\n\x00/") {
		return errors.New(`must be an account's name, or "NAME:admin" for one that may run the admin commands too`)
	}
	return nil
}

// checkListen wants "ADDRESS:PORT" or ":PORT"; names are not looked up, so that
// the gateway listens where it was told to, or nowhere.
func checkListen(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New(`must be ADDRESS:PORT, such as "[::]:2222" or "192.0.2.1:2222"`)
	}
	if host != "" {
		if _, err := netip.ParseAddr(host); err != nil {
			return fmt.Errorf("%s is not an address", quote(host))
		}
	}
	return checkPort(port, 0)
}

// checkServer wants "HOST:PORT", where HOST is an address or a name.
func checkServer(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New(`must be HOST:PORT, such as "127.0.0.1:53" or "[::1]:53"`)
	}
	if _, err := netip.ParseAddr(host); err != nil {
		if why := idn.Explain(host); why != "" {
			return fmt.Errorf("%s is not ASCII: %s", quote(host), why)
		}
		if strings.Contains(host, ":") || checkDomain(host) != nil {
			return fmt.Errorf("%s is neither an address nor a name", quote(host))
		}
	}
	return checkPort(port, 1)
}

// parseNetwork reads an address, or a network whose host bits are zero.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	network, err := netip.ParsePrefix(s)
	if err != nil || network != network.Masked() || network.Addr().Is4In6() {
		return netip.Prefix{}, errors.New(`must be an address or a network, such as "192.0.2.7" or "2001:db8::/32", with no bits set behind its length`)
	}
	return network, nil
}

func checkNetwork(s string) error {
	_, err := parseNetwork(s)
	return err
}

func checkPort(port string, low int) error {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || int(n) < low {
		return fmt.Errorf("the port must be a number from %d to 65535", low)
	}
	return nil
}

// checkDomain wants a domain name of letters, digits, "-", "_" and, for the
// reverse zones of RFC 2317, "/".
func checkDomain(name string) error {
	if why := idn.Explain(name); why != "" {
		return errors.New("not a domain name in ASCII: " + why)
	}
	name = canonical(name)
	if name == "" || len(name) > 253 {
		return errors.New("not a domain name of 1 to 253 bytes")
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_/") != "" {
			return fmt.Errorf("not a domain name: %s is not a label", quote(label))
		}
	}
	return nil
}

func quote(s string) string { return plain.Quoted(s) }

// checkNames wants a domain name, or one behind a dot.
func checkNames(s string) error {
	if strings.HasPrefix(s, "*") {
		return errors.New("must be a name or a .suffix; each includes its wildcard")
	}
	return checkDomain(strings.TrimPrefix(s, "."))
}
