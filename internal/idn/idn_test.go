package idn

import (
	"strings"
	"testing"
	"unicode"
)

func TestExplain(t *testing.T) {
	for name, want := range map[string]string{
		"home.example.com":           "",
		"":                           "",
		"bücher.example":             "'ü' (U+00FC); write xn--bcher-kva.example",
		"bu\u0308cher.example":       "U+0308; write xn--bcher-kva.example", // as macOS composes it
		"BÜCHER.Example.":            "'Ü' (U+00DC); write xn--bcher-kva.example.",
		"straße.example":             "'ß' (U+00DF); write xn--strae-oqa.example",
		"*.bücher.example":           "'ü' (U+00FC); write *.xn--bcher-kva.example",
		".bücher.example":            "'ü' (U+00FC); write .xn--bcher-kva.example",
		"_acme-challenge.bü.example": "'ü' (U+00FC); write _acme-challenge.xn--b-eha.example",
		"例え.テスト":                     "'例' (U+4F8B); write xn--r8jz45g.xn--zckzah",
		"“home.example.com”":         "'“' (U+201C)",
		"home\u200b.example.com":     "U+200B; write home.example.com", // as web pages have it copied
		"home\u00a0.example.com":     "U+00A0",
		"\u202ehome.example.com":     "U+202E",
		"b\xfccher.example":          "byte 2, 0xfc, which is not UTF-8 either",
		"bü_cher.example":            "'ü' (U+00FC)",
		"müll":                       "'ü' (U+00FC)",
		"home–1.example.com":         "'–' (U+2013)",

		strings.Repeat("ü", 64) + ".example":     "'ü' (U+00FC)", // a label would be too long
		strings.Repeat("ü.", 10_000) + "example": "'ü' (U+00FC)",
	} {
		if got := Explain(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func TestAt(t *testing.T) {
	for _, test := range []struct {
		line string
		at   int
		want string
	}{
		{"update b\u00fccher.example 192.0.2.1", 8, "U+00FC; write xn--bcher-kva.example"},
		{"hosts\t*.b\u00fccher.example\tx", 9, "U+00FC; write *.xn--bcher-kva.example"},
		{"\u00fcpdate x", 0, "U+00FC"},
		{"list \xfc.example", 5, ""},
		{"list x", 0, ""},
		{"# caf\u00e9", 5, "U+00E9"},
	} {
		if got := At(test.line, test.at); got != test.want {
			t.Errorf("%q at %d: %s, want %s", test.line, test.at, got, test.want)
		}
	}
}

func FuzzExplain(f *testing.F) {
	for _, s := range []string{"bücher.example", "例え.テスト", "\u202e.\xff", "*.ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, r := range Explain(name) {
			if !unicode.IsGraphic(r) || unicode.IsMark(r) {
				t.Errorf("%q is explained with %U", name, r)
			}
		}
		if _, ascii, ok := strings.Cut(Explain(name), "; write "); ok && Explain(ascii) != "" {
			t.Errorf("%q is to be written %q, which is not ASCII", name, ascii)
		}
	})
}
