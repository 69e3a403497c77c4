package authkeys

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"dnsgate/internal/records"

	"golang.org/x/crypto/ssh"
)

// entry is one line of the file.
type entry struct {
	text  []byte // with its line end
	grant Grant  // of a refused line, fingerprint and comment; of one without a readable key, the line's number
}

func entries(content []byte) (all []entry) {
	for text := range bytes.Lines(content) {
		e := entry{text: text}
		if len(text) <= MaxLine && holdsKey(text) {
			e.grant, _, _ = parseLine(string(bytes.TrimSuffix(text, []byte("\n"))))
		}
		e.grant.Line = len(all) + 1
		all = append(all, e)
	}
	return all
}

// find returns the fingerprint of the key that is meant by which: a fingerprint, with
// or without "SHA256:", or a comment or hostname (also *.NAME and .NAME, as in the
// line) that only the lines of one key have. The error wraps ErrUnknown if no line
// matches; if several keys match it names their lines.
func find(path string, all []entry, which string) (string, error) {
	var found []Grant
	for _, e := range all {
		if e.grant.Fingerprint != "" && e.grant.named(which) {
			found = append(found, e.grant)
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%s: no line with the key %s: %w", path, quote(which), ErrUnknown)
	}
	for _, g := range found {
		if g.Fingerprint != found[0].Fingerprint {
			return "", fmt.Errorf("%s: both line %d (%s) and line %d (%s) have %s; name one by its fingerprint",
				path, found[0].Line, found[0].Fingerprint, g.Line, g.Fingerprint, quote(which))
		}
	}
	return found[0].Fingerprint, nil
}

func (g Grant) named(which string) bool {
	if g.Fingerprint == "SHA256:"+strings.TrimPrefix(which, "SHA256:") {
		return true
	}
	if which != "" && g.Comment == which {
		return true
	}
	if strings.HasPrefix(which, ".") {
		name, err := records.ParseSuffix(which)
		return err == nil && slices.Contains(g.Suffixes, name)
	}
	name, err := records.ParseOwner(which)
	return err == nil && slices.Contains(g.Hosts, name)
}

// withKey is the line with another key, and with another comment unless that is empty.
// Its options stay the same, byte for byte.
func (e *entry) withKey(key ssh.PublicKey, comment string) (string, error) {
	line := strings.Trim(string(e.text), " \t\r\n")
	options := ""
	if !startsWithKeyType(line) {
		list, _, err := cutOptions(line)
		if err != nil {
			return "", err
		}
		options = list + " "
	}
	if comment == "" {
		comment = e.grant.Comment
	}
	return strings.TrimRight(options+publicKeyText(key)+" "+comment, " "), nil
}
