package push

import (
	"net/netip"
	"strconv"
	"strings"
)

func isNumber(word string, low, high int) bool {
	if word == "" || len(word) > 9 || strings.Trim(word, "0123456789") != "" || word[0] == '0' && word != "0" {
		return false
	}
	n, err := strconv.Atoi(word)
	return err == nil && low <= n && n <= high
}

// consistsOf reports whether s has only letters, digits and the bytes of others.
func consistsOf(s, others string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !isLetterOrDigit(r) && !strings.ContainsRune(others, r) })
}

func isLetterOrDigit(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// isHostname reports whether s is a hostname of at least two labels (RFC 1123).
func isHostname(s string) bool {
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || !consistsOf(label, "-") {
			return false
		}
	}
	return len(labels) >= 2 && len(s) <= 253 && strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

func isGateway(s string) bool {
	addr, err := netip.ParseAddr(s)
	isAddress := err == nil && addr.Zone() == "" && !(addr.Is6() && strings.Contains(s, "."))
	return isAddress || isHostname(s) || isHostname(s+".x") && !strings.Contains(s, ".")
}

func isLogin(s string) bool {
	return s != "" && !strings.ContainsRune(".-", rune(s[0])) && consistsOf(s, "._-")
}

// isInterface follows Linux, where a name has at most 15 bytes.
func isInterface(s string) bool {
	return s != "" && len(s) <= 15 && isLetterOrDigit(rune(s[0])) && consistsOf(s, "._:@-")
}

// isPath reports whether s is an absolute path; slashes also lead from folder
// to folder on Windows.
func isPath(s string) bool {
	s = s[len(volume(s)):]
	return len(s) > 1 && s[0] == '/' && consistsOf(s, "/._@+=,:-")
}

// isPrintable reports whether s is printable ASCII.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
