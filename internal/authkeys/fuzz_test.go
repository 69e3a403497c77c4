package authkeys

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// FuzzLine checks that no line panics, that a refused one has a clear reason of
// one line, and that what an accepted one grants survives being written again.
func FuzzLine(f *testing.F) {
	for _, line := range []string{
		header + keyA + " comment",
		`restrict,command="dnsgate allow --ttl=60 --lease=1h --address=peer --private --acme --read-only *.a.b .c.d",from="10.0.0.0/8,!10.*,::/0",expiry-time="20270101Z" ` + keyA,
		`no-touch-required,COMMAND="dnsgate admin" ` + skEd25519(),
		`command="dnsgate allow \"",from="` + "\t" + keyB,
		"ssh-rsa AAAA", "command=\"dnsgate a\xeb\nllow\"", header + "ssh-ed25519 AAAAC3NzaC1lZDI1NEAA", "# comment", ",,", `a="b`, "\ufeff", "\x00",
	} {
		f.Add(line)
	}
	address := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, line string) {
		g, key, err := parseLine(line)
		if err != nil {
			if message := err.Error(); message == "" || len(message) > 500 || strings.ContainsAny(message, "\n\x00") {
				t.Errorf("%q: %q", line, message)
			}
			return
		}
		if !g.Admin && len(g.Hosts)+len(g.Suffixes) == 0 || g.Admin && len(g.Hosts)+len(g.Suffixes) > 0 {
			t.Errorf("%q: %+v", line, g)
		}
		for _, host := range g.Hosts {
			if !g.Covers(host) {
				t.Errorf("%q: does not cover %s", line, host)
			}
		}
		if g.sources.impossible() != "" && g.sources.admit(address) {
			t.Errorf("%q: admits %s, though it can never match", line, address)
		}
		written := FormatLine(g, key)
		again, key2, err := parseLine(written)
		if err != nil {
			t.Fatalf("%q, written as %q: %v", line, written, err)
		}
		if !reflect.DeepEqual(g, again) || !reflect.DeepEqual(key.Marshal(), key2.Marshal()) {
			t.Errorf("%q\nreads as      %+v\nbut %q\nreads as      %+v", line, g, written, again)
		}
	})
}

// FuzzFrom compares covered and matchPattern with slower ways to the same.
func FuzzFrom(f *testing.F) {
	f.Add("10.0.0.0/30,!10.0.0.0/31,!10.0.0.2/31", "10.0.0.3")
	f.Add("*1?,!1*", "2001:db8::1")
	f.Add("???????", "60b8::1")
	f.Fuzz(func(t *testing.T, list, text string) {
		s, err := parseSources(list)
		addr, bad := netip.ParseAddr(text)
		if err != nil || bad != nil {
			return
		}
		if got, want := s.admit(addr), admitSlowly(list, addr); got != want {
			t.Errorf("%q admits %s: %v, want %v", list, addr, got, want)
		}
		if s.admit(addr) && s.impossible() != "" {
			t.Errorf("%q admits %s, though %s", list, addr, s.impossible())
		}
	})
}

func admitSlowly(list string, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	in := false
	for element := range strings.SplitSeq(list, ",") {
		text, negated := strings.CutPrefix(element, "!")
		network, err := netip.ParsePrefix(text)
		matches := err == nil && network.Contains(addr)
		if err != nil {
			same, bad := netip.ParseAddr(text)
			matches = bad == nil && same == addr || bad != nil && matchSlowly(addr.String(), strings.ToLower(text))
		}
		if text == "" || err == nil && network != network.Masked() || negated && matches {
			return false
		}
		in = in || matches
	}
	return in
}

func matchSlowly(s, pattern string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '*' {
		return matchSlowly(s, pattern[1:]) || s != "" && matchSlowly(s[1:], pattern)
	}
	return s != "" && (pattern[0] == '?' || pattern[0] == s[0]) && matchSlowly(s[1:], pattern[1:])
}
