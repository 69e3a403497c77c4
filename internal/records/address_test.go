package records

import (
	"errors"
	"net/netip"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":          "192.0.2.1",
		"2001:DB8::1":        "2001:db8::1",
		"::ffff:192.0.2.1":   "192.0.2.1",
		"":                   "",
		"192.0.2":            "",
		"192.0.2.256":        "",
		"192.0.2.01":         "",
		"0x7f.1":             "",
		"fe80::1%eth0":       "",
		"2001:db8::1/64":     "",
		"[2001:db8::1]":      "",
		"2001:db8::1 ":       "",
		"1:2:3:4:5:6:7:8:9":  "",
		"::ffff:192.0.2.1%x": "",
	} {
		got, err := ParseAddress(in)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("ParseAddress(%q) = %v, %v; want %q", in, got, err, want)
		}
		if err != nil && !errors.Is(err, ErrNotAddress) {
			t.Errorf("ParseAddress(%q): %v is no ErrNotAddress", in, err)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	const never, private, always = "never", "private", "always"
	for in, want := range map[string]string{
		"203.0.113.7": always, "8.8.8.8": always, "2001:db8::1": always, "172.32.0.1": always,
		"100.128.0.1": always, "192.169.0.1": always, "223.255.255.255": always, "2a00::1": always,
		"10.0.0.1": private, "172.16.0.1": private, "172.31.255.255": private, "192.168.1.1": private,
		"100.64.0.1": private, "100.127.255.255": private, "fc00::1": private, "fdff::1": private, "fec0::1": private,
		"0.0.0.0": never, "0.1.2.3": never, "127.0.0.1": never, "127.255.0.1": never, "169.254.1.1": never,
		"224.0.0.1": never, "239.1.1.1": never, "240.0.0.1": never, "255.255.255.255": never,
		"::": never, "::1": never, "fe80::1": never, "febf::1": never, "ff02::1": never,
		"::ffff:127.0.0.1": never, "::ffff:10.0.0.1": private,
		"2001:db8:2:2::": never, "2001:db8:2::": never, "fd00::": never, "2001:db8:2:2::1:0": always,
	} {
		addr := netip.MustParseAddr(in)
		strict, lenient := CheckAddress(addr, false), CheckAddress(addr, true)
		got := never
		switch {
		case strict == nil && lenient == nil:
			got = always
		case strict != nil && lenient == nil:
			got = private
		}
		if got != want {
			t.Errorf("%s is published %s, want %s (%v, %v)", in, got, want, strict, lenient)
		}
	}
	if err := CheckAddress(netip.Addr{}, true); !errors.Is(err, ErrNotAddress) {
		t.Errorf("no address: %v", err)
	}
}
