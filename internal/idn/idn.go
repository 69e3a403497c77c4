// Package idn explains hostnames that are not ASCII: which character is to
// blame, and how DNS writes the name (RFC 5890's A-label, "xn--..."). It
// changes no name, and trusts none.
package idn

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxName is the length, in bytes, of the longest name that is converted: a
// name of DNS has at most 253, in any form at most four times as many.
const maxName = 4 * 253

// Explain names the first character of a name that is not ASCII, and says what
// to write instead, if that can be known; of an ASCII name it returns "". The
// text is one line of characters that can be seen.
func Explain(name string) string {
	i := strings.IndexFunc(name, func(r rune) bool { return r > unicode.MaxASCII })
	if i < 0 {
		return ""
	}
	r, size := utf8.DecodeRuneInString(name[i:])
	if r == utf8.RuneError && size == 1 {
		return fmt.Sprintf("byte %d, 0x%02x, which is not UTF-8 either", i+1, name[i])
	}
	if ascii := ToASCII(name); ascii != "" {
		return Character(r) + "; write " + ascii
	}
	return Character(r)
}

// At numbers the character at byte i of a line of words, and says what to write
// for its word if that is a name; it returns "" of one that is ASCII, or no
// UTF-8. The text is ASCII.
func At(line string, i int) string {
	r, _ := utf8.DecodeRuneInString(line[i:])
	if r == utf8.RuneError || r <= unicode.MaxASCII {
		return ""
	}
	begin := strings.LastIndexAny(line[:i], " \t") + 1
	end := len(line)
	if n := strings.IndexAny(line[i:], " \t"); n >= 0 {
		end = i + n
	}
	if ascii := ToASCII(line[begin:end]); ascii != "" {
		return fmt.Sprintf("%U; write %s", r, ascii)
	}
	return fmt.Sprintf("%U", r)
}

// Character shows a character, and only numbers one that could mislead.
func Character(r rune) string {
	if !unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.IsMark(r) {
		return fmt.Sprintf("%U", r)
	}
	return fmt.Sprintf("'%c' (%U)", r, r)
}

// profile is that of a program which looks names up (RFC 5891 section 5), as
// browsers have it (UTS 46, without its transition from IDNA 2003).
var profile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true), idna.Transitional(false))

// ToASCII is the name, of two labels or more, in the form that DNS has, or "" if
// it has none. A "*", a dot or "_acme-challenge" in front stays.
func ToASCII(name string) string {
	if len(name) > maxName || !utf8.ValidString(name) {
		return ""
	}
	host := name
	for _, front := range []string{".", "*.", "_acme-challenge."} {
		host = strings.TrimPrefix(host, front)
	}
	ascii, err := profile.ToASCII(host)
	if err != nil || !strings.Contains(ascii, ".") {
		return ""
	}
	if mapped, err := profile.ToUnicode(ascii); err != nil || strings.ContainsFunc(mapped, odd) {
		return ""
	}
	return strings.TrimSuffix(name, host) + ascii
}

// odd is true of what may not stand in a name (RFC 5892), though browsers let it
// pass: quotes and dashes, as word processors write them.
func odd(r rune) bool {
	return !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Nd) && r != '-' && r != '.'
}
