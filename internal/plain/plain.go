// Package plain makes text that a stranger wrote fit for a message.
package plain

import (
	"strconv"
	"unicode/utf8"
)

// Short is s, shortened to at most length bytes where it is longer; the rest is
// replaced by dots.
func Short(s string, length int) string {
	if len(s) <= length {
		return s
	}
	end := length - len("...")
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}

// ASCII is s with ? in the place of each byte that is not printable ASCII.
func ASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// Quoted is s in quotes, shortened, with escapes in the place of all that is not printable
// ASCII.
func Quoted(s string) string { return strconv.QuoteToASCII(Short(s, 60)) }
