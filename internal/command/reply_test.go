package command

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestExitStatuses(t *testing.T) {
	for code, want := range map[Code]int{
		Good: 0, NoChange: 0, BadCommand: 64, BadAddress: 65, NotFQDN: 65, NumHost: 65,
		NoHost: 77, Abuse: 75, DNSError: 75, Outage: 75, "nonsense": 70,
	} {
		if got := code.Exit(); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
	for err, want := range map[error]int{
		nil: 0, errBug: 70, errors.New("any"): 75,
		fmt.Errorf("wrapped: %w", refusal(NoHost, "x")): 77,
	} {
		if got := exitStatus(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}

func TestExplanations(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                   "plain",
		"good and Good":           "*** and ***",
		"goodness, nochgs":        "***ness, ***s",
		"ok, Ok, OK, TOKEN":       "***, ***, ***, T***EN",
		"token look book":         "token look book",
		"two\nlines\tand \x1b[0m": "two?lines?and ?[0m",
		"h\u00f6me":               "h?me",
		"\xff":                    "?",
	} {
		if got := soften(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := asRefusal(errors.New("/var/lib/dnsgate: disk full")); got.Text != "the gateway failed; its log says why" || !strings.Contains(got.Detail, "disk full") {
		t.Errorf("%+v", got)
	}
}

func TestSplit(t *testing.T) {
	words, err := split(" a\t b  c ")
	if err != nil || fmt.Sprintf("%q", words) != `["a" "b" "c"]` {
		t.Errorf("%q, %v", words, err)
	}
	for c := range 256 {
		_, err := split("x" + string([]byte{byte(c)}))
		printable := c == '\t' || c >= ' ' && c <= '~'
		if allowed := printable && !containsByte(forbidden, byte(c)); allowed != (err == nil) {
			t.Errorf("byte %#x: %v", c, err)
		}
	}
}

func containsByte(s string, c byte) bool {
	for i := range len(s) {
		if s[i] == c {
			return true
		}
	}
	return false
}

// TestAddressOrHost: what a word is meant as decides which error it gets.
func TestAddressOrHost(t *testing.T) {
	for word, want := range map[string]bool{
		"192.0.2.1": true, "::1": true, "2001:db8::/64": true, "fe80::1%eth0": true, "1": true, "1.2.3": true,
		"300.1.1.1": true, "...": true, "a.example.com": false, "1.example.com": false, "a": false, "-": false,
		"*.a.b": false, "0x7f.1": false, "1e3": false,
	} {
		if got := looksLikeAddress(word); got != want {
			t.Errorf("%q: %v", word, got)
		}
	}
}
