package tinydns

import "strings"

// equalFold compares names in wire form, ASCII letters of either case alike.
// Lengths of labels are below the letters.
func equalFold(a string, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// dotted is the text form of a name in wire form: in lower case, and all but
// letters, digits, hyphens and underscores in octal.
func dotted(name []byte) string {
	if name[0] == 0 {
		return "."
	}
	var b strings.Builder
	for {
		n := int(name[0])
		for _, c := range name[1 : 1+n] {
			c = lower(c)
			if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' {
				b.WriteByte(c)
			} else {
				b.Write(appendOctal(nil, c))
			}
		}
		if name = name[1+n:]; name[0] == 0 {
			return b.String()
		}
		b.WriteByte('.')
	}
}
