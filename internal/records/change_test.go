package records

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestChangeText(t *testing.T) {
	c := Change{
		Revision: 42, Time: time.Date(2026, 11, 21, 6, 5, 0, 0, time.UTC), Name: "home.example.com",
		New: []Record{
			{Addr: netip.MustParseAddr("192.0.2.1"), Expires: 1800000000}, {Addr: netip.MustParseAddr("2001:db8::1")}, {Text: "a_b-c", Expires: 1800000001},
		}, TTL: 300, Key: "SHA256:abc", Source: "198.51.100.7",
	}
	const want = "42 2026-11-21T06:05:00Z home.example.com - 192.0.2.1@1800000000,2001:db8::1,txt=a_b-c@1800000001 300 SHA256:abc 198.51.100.7"
	if c.String() != want {
		t.Errorf("got  %s\nwant %s", c, want)
	}
	back, err := ParseChange(want)
	if err != nil || back.String() != want {
		t.Errorf("parsed back: %v, %v", back, err)
	}
}

func TestParseChangeRefuses(t *testing.T) {
	const whole = "42 2026-11-21T06:05:00Z home.example.com - 192.0.2.1 300 SHA256:abc 198.51.100.7"
	if _, err := ParseChange(whole); err != nil {
		t.Fatal(err)
	}
	for old, bad := range map[string]string{
		"42 ":          "042 ",
		"Z ":           "+00:00 ",
		"home.":        "HOME.",
		"example":      "exa_mple",
		" - ":          "  ",
		"192.0.2.1":    "192.0.2.1,",
		"192.0.2.1 ":   "192.0.2.1@0 ",
		"192.0.2.1  ":  "",
		"2.1 300":      "2.1 -300",
		" 300 ":        " 4294967295 ",
		"SHA256:abc":   "SHA256:\x1babc",
		"198.51.100.7": "198.51.100.7 x",
		"- 192":        "- txt=$(x)@5,192",
	} {
		line := strings.Replace(whole, old, bad, 1)
		if line == whole {
			continue
		}
		if c, err := ParseChange(line); err == nil {
			t.Errorf("%q parses to %v", line, c)
		}
	}
}

// TestChangeCheck: what parses, but no gateway can have written.
func TestChangeCheck(t *testing.T) {
	const whole = "42 2026-11-21T06:05:00Z home.example.com 192.0.2.2 192.0.2.1 300 SHA256:abc 198.51.100.7"
	for old, bad := range map[string]string{
		"198.51.100.7": "fe80::1%y",
		"2026":         "0001",
		"2026-":        "9999-",
		"192.0.2.2":    "127.0.0.1",
		"192.0.2.1":    "127.0.0.1",
		"home":         "home",             // as it is
		"42":           "9007199254740992", // 2^53
	} {
		c, err := ParseChange(strings.Replace(whole, old, bad, 1))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Check(); (err == nil) != (old == bad) {
			t.Errorf("%s: %v", c, err)
		}
	}
}

// FuzzParseChange: whatever parses formats to the same bytes.
func FuzzParseChange(f *testing.F) {
	f.Add("42 2026-11-21T06:05:00Z home.example.com - 192.0.2.1@1800000000,txt=a 300 SHA256:abc 198.51.100.7")
	f.Add("1 2026-11-21T06:05:00Z _acme-challenge.a.b txt=x - 0 lease -")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := ParseChange(line)
		if err != nil {
			return
		}
		if c.String() != line {
			t.Errorf("%q formats to %q", line, c)
		}
	})
}
