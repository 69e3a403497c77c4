package authkeys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// option is one element of the comma-separated list before the key.
type option struct {
	name     string // lower case
	value    string // dequoted
	hasValue bool
}

// cutOptions splits a line after its options: at the first space or tab outside of
// quotes.
func cutOptions(line string) (options, rest string, err error) {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line) && line[i+1] == '"':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t'):
			return line[:i], strings.TrimLeft(line[i:], " \t"), nil
		}
	}
	if quoted {
		return "", "", errors.New("a quote is not closed")
	}
	return line, "", nil
}

// nextOption takes the first option off the list. Like sshd it ignores empty ones, as
// in "a,,b".
func nextOption(list string) (o option, rest string, err error) {
	end := strings.IndexAny(list, "=,")
	if end < 0 {
		end = len(list)
	}
	o.name = strings.ToLower(list[:end])
	list = list[end:]
	if strings.HasPrefix(list, "=") {
		o.hasValue = true
		if o.value, list, err = dequote(list[1:]); err != nil {
			return o, "", fmt.Errorf("option %s: %w", quote(o.name), err)
		}
	}
	if list != "" && list[0] != ',' {
		return o, "", fmt.Errorf("option %s: a comma is missing behind its value", quote(o.name))
	}
	return o, strings.TrimPrefix(list, ","), nil
}

// dequote reads a quoted value; its only escape is \".
func dequote(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", errors.New("its value is not in double quotes")
	}
	s = s[1:]
	escaped := false
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && s[i+1] == '"' {
			escaped = true
			i++
			continue
		}
		if s[i] == '"' {
			value = s[:i]
			if escaped {
				value = strings.ReplaceAll(value, `\"`, `"`)
			}
			return value, s[i+1:], nil
		}
	}
	return "", "", errors.New("the quote of its value is not closed")
}

// implied are the options that only take away rights which dnsgate never gives.
var implied = []string{
	"restrict", "no-port-forwarding", "no-agent-forwarding", "no-x11-forwarding",
	"no-pty", "no-user-rc", "no-verify-required",
}

// refused explains why dnsgate cannot honour options that sshd knows.
var refused = map[string]string{
	"verify-required":  "whether the user was verified cannot be seen here",
	"principals":       "a certificate may update those of its principals that the line names",
	"environment":      "nothing here has an environment",
	"permitopen":       "nothing is forwarded",
	"permitlisten":     "nothing is forwarded",
	"tunnel":           "nothing is forwarded",
	"port-forwarding":  "nothing is forwarded",
	"agent-forwarding": "nothing is forwarded",
	"x11-forwarding":   "nothing is forwarded",
	"pty":              "there are no terminals",
	"user-rc":          "there is no shell",
	"touch-required":   "it is so already, leave it out",
}

// parseOptions reads the list into a Grant that has no key yet.
func parseOptions(list string) (Grant, error) {
	var seen []option
	for list != "" {
		var o option
		var err error
		if o, list, err = nextOption(list); err != nil {
			return Grant{}, err
		}
		if o == (option{}) {
			continue
		}
		if err := checkOption(o); err != nil {
			return Grant{}, err
		}
		if slices.ContainsFunc(seen, func(s option) bool { return s.name == o.name }) {
			return Grant{}, fmt.Errorf("the option %s is there twice", o.name)
		}
		seen = append(seen, o)
	}
	return applyOptions(seen)
}

func checkOption(o option) error {
	switch o.name {
	case "command", "from", "expiry-time":
		if !o.hasValue {
			return fmt.Errorf(`the option %[1]s needs a value: %[1]s="..."`, o.name)
		}
		return nil
	}
	if why, ok := refused[o.name]; ok {
		return fmt.Errorf("the option %s is not supported: %s", o.name, why)
	}
	if o.name != "no-touch-required" && o.name != "cert-authority" && !slices.Contains(implied, o.name) {
		return fmt.Errorf("unknown option %s", quote(o.name))
	}
	if o.hasValue {
		return fmt.Errorf("the option %s takes no value", o.name)
	}
	return nil
}

var errNoCommand = errors.New(`no forced command; put command="dnsgate allow HOST..." before the key`)

func applyOptions(options []option) (Grant, error) {
	get := func(name string) (option, bool) {
		i := slices.IndexFunc(options, func(o option) bool { return o.name == name })
		if i < 0 {
			return option{}, false
		}
		return options[i], true
	}
	command, ok := get("command")
	if !ok {
		return Grant{}, errNoCommand
	}
	g, err := ParseCommand(strings.Clone(command.value))
	if err != nil {
		return Grant{}, err
	}
	if from, ok := get("from"); ok {
		g.From = strings.Clone(from.value)
		if g.sources, err = parseSources(g.From); err != nil {
			return Grant{}, err
		}
	}
	if expiry, ok := get("expiry-time"); ok {
		if g.Expires, err = parseExpiry(expiry.value); err != nil {
			return Grant{}, err
		}
	}
	_, g.NoTouchRequired = get("no-touch-required")
	if _, g.CA = get("cert-authority"); g.CA && !g.allows() {
		return Grant{}, errors.New("cert-authority goes with dnsgate allow alone")
	}
	return g, nil
}

// Options is the list that parseOptions reads as g. It also restricts the key for sshd,
// in case sshd ever reads the file.
func (g Grant) Options() string {
	list := `restrict,command="` + g.Command() + `"`
	if g.CA {
		list = "cert-authority," + list
	}
	if g.sources != nil || g.From != "" {
		list += `,from="` + g.From + `"`
	}
	if !g.Expires.IsZero() {
		list += `,expiry-time="` + g.Expires.UTC().Format(expirySeconds) + `Z"`
	}
	if g.NoTouchRequired {
		list += ",no-touch-required"
	}
	return list
}
