package clients_test

import (
	"regexp"
	"strings"
	"testing"
)

// way is a client, or another way to use the one above it.
type way struct {
	client, variant string // the headings; variant is empty for the client itself
	before          []string
	command         string
	after           []string
}

// Variants that are tried with other keys than ed25519.
const (
	byAgent         = "By agent"
	withSecurityKey = "With a security key"
)

// keys are the types of key to try. The first has to work, unless the client
// cannot speak to the gateway at all.
func (w way) keys() (names []string) {
	for _, k := range keyTypes {
		if w.variant == "" || w.variant == byAgent || (w.variant == withSecurityKey) == k.security() {
			names = append(names, k.name)
		}
	}
	if w.variant != "" && w.variant != byAgent && w.variant != withSecurityKey {
		names = names[:1]
	}
	return names
}

func (w way) slug() string {
	name := strings.ToLower(w.client)
	if w.variant != "" {
		name += "-" + strings.ToLower(w.variant)
	}
	return regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(name, "-")
}

// documented reads the ways, and the names of the variables that the document
// defines at its top.
func documented(t *testing.T) (ways []way, variables []string) {
	t.Helper()
	parts := read(t, "docs/clients.md")
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=`).FindAllStringSubmatch(parts[0].blocks[0], -1) {
		variables = append(variables, m[1])
	}
	client := ""
	for _, p := range parts[1:] {
		w := way{client: client, variant: p.heading}
		if p.level == 2 {
			client = p.heading
			w = way{client: client}
		}
		for _, b := range p.blocks {
			switch {
			case strings.Contains(b, "$COMMAND") && w.command == "":
				w.command = b
			case w.command == "":
				w.before = append(w.before, b)
			default:
				w.after = append(w.after, b)
			}
		}
		if w.command == "" {
			t.Fatalf("%s %s has no command", w.client, w.variant)
		}
		ways = append(ways, w)
	}
	return ways, variables
}
