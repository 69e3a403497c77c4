package records

import (
	"errors"
	"strings"
	"testing"
)

func TestParseName(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	long := strings.Repeat("a.", 126) + "b" // 253 bytes
	for in, want := range map[string]Name{
		"home.example.com":          "home.example.com",
		"HOME.Example.COM.":         "home.example.com",
		"1.2.3.4x":                  "1.2.3.4x",
		"xn--bcher-kva.example":     "xn--bcher-kva.example",
		label63 + ".example":        Name(label63 + ".example"),
		long:                        Name(long),
		"":                          "",
		".":                         "",
		"home":                      "",
		"home..example.com":         "",
		".example.com":              "",
		"home.example.com..":        "",
		"*.example.com":             "",
		"_x.example.com":            "",
		"-a.example.com":            "",
		"a-.example.com":            "",
		"a b.example.com":           "",
		"a\x00.example.com":         "",
		"bücher.example":            "",
		"192.0.2.1":                 "",
		label63 + "a.example":       "",
		"a" + long:                  "",
		"_acme-challenge.a.example": "",
	} {
		got, err := ParseName(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ParseName(%q) = %q, %v; want %q", in, got, err, want)
		}
		if err != nil && !errors.Is(err, ErrNotName) {
			t.Errorf("ParseName(%q): %v is no ErrNotName", in, err)
		}
	}
}

func TestParseOwner(t *testing.T) {
	for in, want := range map[string]Name{
		"*.example.com":                        "*.example.com",
		"*.*.example.com":                      "",
		"a.*.example.com":                      "",
		"*":                                    "",
		"*.":                                   "",
		"*.com":                                "",
		"*." + strings.Repeat("a.", 126) + "b": "",
	} {
		if got, err := ParseOwner(in); got != want || (err == nil) != (want != "") {
			t.Errorf("ParseOwner(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

// What is wrong with a name is said of the name as it was typed.
func TestNameErrors(t *testing.T) {
	for in, want := range map[string]string{
		"*.*.example.com":              `"*.*.example.com" is not a fully qualified hostname: '*' may not stand in a hostname`,
		"*.bücher.example":             `"*.bücher.example" is not a fully qualified hostname: it is not ASCII: 'ü' (U+00FC); write *.xn--bcher-kva.example`,
		"_acme-challenge.a_b.c":        `"_acme-challenge.a_b.c" is not a fully qualified hostname: '_' may not stand in a hostname`,
		"_acme-challenge.*.*.x":        `"_acme-challenge.*.*.x" is not a fully qualified hostname: '*' may not stand in a hostname`,
		"\u212aome.example.com":        `"\u212aome.example.com" is not a fully qualified hostname: it is not ASCII: '\u212a' (U+212A); write kome.example.com`,
		"*." + strings.Repeat("é", 60): `"*.` + strings.Repeat("é", 37) + `..." is not a fully qualified hostname: it is not ASCII: 'é' (U+00E9)`,
	} {
		want = strings.ReplaceAll(want, `\u212a`, "\u212a")
		if _, err := ParseStored(in); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", in, err, want)
		}
	}
	if _, err := ParseSuffix("..example.com"); err == nil || !strings.Contains(err.Error(), `"..example.com" is not`) {
		t.Errorf("a suffix: %v", err)
	}
	if name, err := ParseSuffix(".Lab.example.com"); err != nil || name != "lab.example.com" {
		t.Errorf("a suffix: %q, %v", name, err)
	}
}

func TestNameRelations(t *testing.T) {
	name, err := ParseStored("_acme-challenge.Home.example.com")
	if err != nil || name != "_acme-challenge.home.example.com" || !name.IsChallenge() || name.Host() != "home.example.com" {
		t.Errorf("%q, %v", name, err)
	}
	if !Name("a.example.com").Below("example.com") || Name("example.com").Below("example.com") ||
		Name("aexample.com").Below("example.com") || Name("example.com").Below("a.example.com") {
		t.Error("Below is wrong")
	}
	if got := Name("*.a.example.com").Host(); got != "a.example.com" {
		t.Errorf("host of a wildcard: %q", got)
	}
	if _, err := Name(strings.Repeat("a.", 126) + "b").Challenge(); !errors.Is(err, ErrNotName) {
		t.Errorf("a challenge name longer than %d bytes: %v", MaxName, err)
	}
}

// FuzzParseStored: whatever parses is canonical, and a legal DNS name.
func FuzzParseStored(f *testing.F) {
	for _, s := range []string{"home.example.com.", "*.A.example", "_acme-challenge.x.y", "192.0.2.1", "-.x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := ParseStored(s)
		if err != nil {
			return
		}
		if again, err := ParseStored(string(name)); err != nil || again != name {
			t.Errorf("%q parses to %q, and that to %q, %v", s, name, again, err)
		}
		if len(name) > MaxName || strings.ToLower(string(name)) != string(name) || strings.ContainsAny(string(name), " :\\\n\x00") {
			t.Errorf("%q is not canonical", name)
		}
	})
}

func TestFirst(t *testing.T) {
	names := []Name{"a.example", "b.example", "c.example"}
	for most, want := range map[int]string{
		1: "a.example and 2 more", 2: "a.example, b.example and 1 more", 3: "a.example, b.example, c.example", 4: "a.example, b.example, c.example",
	} {
		if got := First(names, most, ", "); got != want {
			t.Errorf("%d: %q, want %q", most, got, want)
		}
	}
	if got := First(nil, 3, ","); got != "" {
		t.Errorf("of none: %q", got)
	}
}
