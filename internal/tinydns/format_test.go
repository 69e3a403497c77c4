package tinydns

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

func TestAppend(t *testing.T) {
	v4, v6 := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::1")
	const octal = `\040\001\015\270\000\000\000\000\000\000\000\000\000\000\000\001`
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"IPv4", appendAddress(nil, Stock, "home.example.com", v4, 300, 0), "+home.example.com:203.0.113.7:300\n"},
		{"mapped", appendAddress(nil, Stock, "home.example.com", netip.MustParseAddr("::ffff:203.0.113.7"), 300, 0), "+home.example.com:203.0.113.7:300\n"},
		{"wildcard", appendAddress(nil, Stock, "*.home.example.com", v4, 300, 0), "+*.home.example.com:203.0.113.7:300\n"},
		{"ending", appendAddress(nil, Stock, "home.example.com", v4, 0, 1800000000), "+home.example.com:203.0.113.7:0:400000006b49d20a\n"},
		{"fixed TTL", appendAddress(nil, Stock, "home.example.com", v4, 60, 1800000000), "+home.example.com:203.0.113.7:60\n"},
		{"IPv6", appendAddress(nil, Stock, "home.example.com", v6, 300, 0), ":home.example.com:28:" + octal + ":300\n"},
		{"IPv6 fefe", appendAddress(nil, Fefe, "home.example.com", v6, 300, 0), "6home.example.com:20010db8000000000000000000000001:300\n"},
		{"wildcard, IPv6 fefe", appendAddress(nil, Fefe, "*.home.example.com", v6, 300, 0), "3*.home.example.com:20010db8000000000000000000000001:300\n"},
		{"text", appendTXT(nil, "_acme-challenge.example.com", "a b:c\\d\n\x80", 60, 0), `'_acme-challenge.example.com:a b\072c\134d\012\200:60` + "\n"},
		{"odd name", appendTXT(nil, "a:b\\c d.example.com", "", 60, 0), `'a\072b\134c\040d.example.com::60` + "\n"},
		{"generic", AppendGeneric(nil, "example.com", 44, []byte{4, 2, ':'}, 3600, 0), `:example.com:44:\004\002\072:3600` + "\n"},
	}
	for _, test := range tests {
		if string(test.got) != test.want {
			t.Errorf("%s: %q, not %q", test.name, test.got, test.want)
		}
	}
}

// FuzzAppendTXT checks that any text at any name comes back from the lines.
func FuzzAppendTXT(f *testing.F) {
	f.Add("example.com", "hello", uint32(60), int64(0))
	f.Add("*.a:b.example.com", strings.Repeat("\x00\\:", 100), uint32(0), int64(1800000000))
	f.Fuzz(func(t *testing.T, name, text string, ttl uint32, until int64) {
		line := appendTXT(nil, name, text, ttl, until)
		if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
			t.Fatalf("%q is not one line", line)
		}
		var c chunk
		c.text = line
		if c.encode(); c.err != nil {
			return // the name is too long
		}
		want := []byte{}
		for rest := text; rest != ""; rest = rest[min(len(rest), 127):] {
			piece := rest[:min(len(rest), 127)]
			want = append(append(want, byte(len(piece))), piece...)
		}
		if got := c.records[c.data+15:]; !bytes.Equal(got, want) {
			t.Fatalf("%q becomes %q, not %q", line, got, want)
		}
	})
}

// FuzzFastPath checks that the fast path and the plain one agree on any line.
func FuzzFastPath(f *testing.F) {
	for _, line := range []string{
		"+a.example.com:1.2.3.4:300\n", "+A..b.:256.2.3.4\n", "+:1.2.3.4:\n", "+a:1.2.3.4::\nrest", "+.*.a:1.2.3.4\n",
		"+*.a:1.2.3.4:5\n", "+a\\056b:1.2.3.4\n", "+a:1.2.3.4 \n", "+a:1.2.3.4", "+a:1.2.3\n", "+a:1.2.3.4:5:6\n",
		"+" + strings.Repeat("x", 63) + ":1.2.3.4\n", "+" + strings.Repeat("x", 64) + ":1.2.3.4\n",
		"+" + strings.Repeat("x.", 127) + ":1.2.3.4\n", "+" + strings.Repeat("x.", 127) + "y:1.2.3.4\n",
		"+a:01.2.3.99999999999999999999:18446744073709551617\n",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) == 0 {
			return
		}
		var fast, plain encoder
		n := fast.fastHost(text)
		if n == 0 {
			if len(fast.records)+len(fast.entries) > 0 {
				t.Fatalf("%q: refused, and changed something", text)
			}
			return
		}
		line, rest := cutLine(text)
		if len(text)-len(rest) != n {
			t.Fatalf("%q: %d bytes taken", text, n)
		}
		if err := plain.line(line); err != nil {
			t.Fatalf("%q: the fast path takes what the plain one refuses: %v", text, err)
		}
		if !bytes.Equal(fast.records, plain.records) || len(fast.entries) != 1 || fast.entries[0] != plain.entries[0] {
			t.Fatalf("%q:\nfast  %q\nplain %q", text, fast.records, plain.records)
		}
	})
}
