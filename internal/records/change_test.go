package records

import (
	"strings"
	"testing"
	"time"
)

func TestChangeText(t *testing.T) {
	records := addresses("2001:db8::1", "192.0.2.1")
	records[0].Expires = 1800000000
	c := Change{
		Revision: 42, Time: time.Date(2026, 11, 21, 6, 5, 0, 0, time.UTC), Name: "home.example.com",
		New: append(records, Record{Text: "a_b-c", Expires: 1800000001}), TTL: 300, Key: "SHA256:abc", Source: "198.51.100.7",
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

// FuzzParseChange: whatever parses formats to the same bytes, and survives
// the store's encoding.
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
		h := Host{Name: c.Name, Revision: c.Revision, TTL: c.TTL, Records: c.New}
		value := string(encodeHost(nil, h, 7))
		got, logged, _, err := decodeHost(c.Name, value, nil)
		if err != nil || logged != 7 || got.Revision != h.Revision || !got.Equal(h) {
			t.Errorf("%+v decodes to %+v, %d, %v", h, got, logged, err)
		}
	})
}

// FuzzDecodeHost: no value that a damaged file could hold does harm.
func FuzzDecodeHost(f *testing.F) {
	f.Add(string(encodeHost(nil, Host{Revision: 1, Records: addresses("192.0.2.1", "2001:db8::1")}, 1)))
	f.Add("\x00\x00\x00\x00\x16abcdef\x00")
	f.Fuzz(func(t *testing.T, value string) {
		h, _, _, err := decodeHost("a.example.com", value, nil)
		if err == nil && len(h.Records) > len(value) {
			t.Errorf("%d records out of %d bytes", len(h.Records), len(value))
		}
	})
}
