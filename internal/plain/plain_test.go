package plain

import (
	"strings"
	"testing"
)

func TestShort(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"12345678", "12345678"},
		{"123456789", "12345..."},
		{"1234\u00e4789", "1234..."}, // no half of a character
		{"\u00e4", "\u00e4"},
	} {
		if got := Short(test.in, 8); got != test.want {
			t.Errorf("%q: %q, want %q", test.in, got, test.want)
		}
	}
}

func TestASCII(t *testing.T) {
	if got := ASCII("a\x1b[2J~\u00e4"); got != "a?[2J~??" {
		t.Errorf("%q", got)
	}
}

func TestQuoted(t *testing.T) {
	if got := Quoted("a\"\x1b\u00e4" + strings.Repeat("b", 60)); got != `"a\"\x1b\u00e4`+strings.Repeat("b", 52)+`..."` {
		t.Error(got)
	}
}
