package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"dnsgate/internal/idn"
)

// Marks that word processors and some editors put into files; the grammar's own error
// would name a single byte.

// wrongEncoding says how to save a file that is not plain UTF-8.
func wrongEncoding(content []byte) string {
	switch {
	case bytes.HasPrefix(content, []byte("\ufeff")):
		return "the file begins with a byte order mark; save it as UTF-8 without one"
	case bytes.HasPrefix(content, []byte("\xff\xfe")), bytes.HasPrefix(content, []byte("\xfe\xff")):
		return "the file is UTF-16; save it as UTF-8, without a byte order mark"
	}
	return ""
}

const typographic = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb\u2039\u203a\u2032\u2033\u00b4"

// oddCharacter names the character, if it is not ASCII, that the grammar does
// not allow at a line and a column, both from 1. Behind a line's end, where a
// text was not closed, it is the last quote that was meant to close it.
func oddCharacter(content []byte, line, column int) string {
	lines := slices.Collect(bytes.Lines(content))
	if line > len(lines) || column < 1 {
		return ""
	}
	text := strings.TrimRight(string(lines[line-1]), "\r\n")
	at := column - 1
	if at >= len(text) {
		at = strings.LastIndexAny(text, typographic)
	}
	if at < 0 || at >= len(text) {
		return ""
	}
	switch r, _ := utf8.DecodeRuneInString(text[at:]); {
	case r < utf8.RuneSelf || r == utf8.RuneError:
		return ""
	case strings.ContainsRune(typographic, r):
		return fmt.Sprintf(`%s is a typographic quote; write " or '`, idn.Character(r))
	default:
		return idn.Character(r) + " may not stand here"
	}
}
