package command

import (
	"slices"
	"strings"

	"dnsgate/internal/idn"
	"dnsgate/internal/records"
)

// forbidden are the bytes that mean something to shells. The language has no quoting,
// so nobody has to guess whose quoting it would be.
const forbidden = "\"'`\\$&|;<>(){}[]!~#"

// split cuts a command into words at spaces and tabs.
func split(line string) ([]string, error) {
	if len(line) > maxLine {
		return nil, refusal(BadCommand, "longer than %d bytes", maxLine)
	}
	for i := range len(line) {
		c := line[i]
		if c == '\t' {
			continue
		}
		if c < ' ' || c > '~' {
			if why := idn.At(line, i); why != "" {
				return nil, refusal(BadCommand, "byte %d is not printable ASCII: %s", i+1, why)
			}
			return nil, refusal(BadCommand, "byte %d is not printable ASCII", i+1)
		}
		if strings.IndexByte(forbidden, c) >= 0 {
			return nil, refusal(BadCommand, "character %d, %q, has no place in a command; there is no quoting", i+1, c)
		}
	}
	return strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' }), nil
}

// takeFlags splits words into the flags in front, which must be among allowed,
// and the rest.
func takeFlags(words []string, allowed ...string) (flags map[string]bool, rest []string, err error) {
	flags = make(map[string]bool)
	for len(words) > 0 && len(words[0]) > 1 && words[0][0] == '-' {
		if !slices.Contains(allowed, words[0]) {
			return nil, nil, refusal(BadCommand, "there is no option %q here; try: help", shown(words[0]))
		}
		flags[words[0]] = true
		words = words[1:]
	}
	return flags, words, nil
}

// looksLikeAddress tells ADDRESS words from HOST words: a word with a colon or a slash,
// or of digits and dots alone, is meant as an address.
func looksLikeAddress(word string) bool {
	return strings.ContainsAny(word, ":/%") || strings.Trim(word, "0123456789.") == ""
}

// maxHosts is how many hosts one command may name.
const maxHosts = 100

// parseHosts reads HOST words. A host that is named twice counts once.
func parseHosts(words []string) ([]records.Name, error) {
	if len(words) > maxHosts {
		return nil, refusal(NumHost, "%d hosts; one command takes %d at most", len(words), maxHosts)
	}
	var hosts []records.Name
	seen := make(map[records.Name]bool, len(words))
	for _, w := range words {
		name, err := records.ParseOwner(w)
		if err != nil {
			return nil, refusal(NotFQDN, "%v", err)
		}
		if !seen[name] {
			seen[name] = true
			hosts = append(hosts, records.Name(strings.Clone(string(name)))) // the name outlives the long line
		}
	}
	return hosts, nil
}
