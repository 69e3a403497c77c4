package push

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"dnsgate/internal/idn"
	"dnsgate/internal/plain"
	"dnsgate/internal/sysexits"
)

// Config is what push.conf says; hooks/README.md describes its keys.
type Config struct {
	Gateway        string
	Port           int
	User           string
	Key            string
	KnownHosts     string
	HostKeyAlias   string
	Hosts          []string
	Aliases        map[string]string // of a name, in lower case: whose challenge its own is a CNAME for
	Family         string            // "4", "6" or "both"
	Address        Source
	Address6       Source // its Kind is "": as Address
	IPv6           string // "stable", "temporary" or "any"
	Prefix         int    // bits; 0: none
	Private        bool
	Fresh          time.Duration
	Retry          time.Duration
	ConnectTimeout time.Duration
	State          string
	file           string
}

// Source is where addresses come from.
type Source struct {
	Kind  string   // "peer", "interface", "argument", "file" or "command"
	Words []string // what follows it: a name, a path, a command
}

const (
	maxFile = 65536 // bytes
	maxLine = 1024
)

func defaults() Config {
	return Config{
		Port: 2222, User: "dnsgate",
		Key: defaultKeys() + "/id_ed25519", KnownHosts: defaultKeys() + "/known_hosts",
		Family: "both", Address: Source{Kind: "peer"}, IPv6: "stable",
		Fresh: time.Hour, Retry: 5 * time.Minute, ConnectTimeout: 10 * time.Second,
	}
}

func readConfig(file string) (Config, error) {
	text, err := readTrusted(file)
	if err != nil {
		return Config{}, err
	}
	if len(text) > maxFile {
		return Config{}, failure(sysexits.Config, "%s: longer than %d bytes", file, maxFile)
	}
	return parseConfig(file, string(text))
}

// parseConfig reads push.conf. Its errors begin with "file:line: ".
func parseConfig(file, text string) (Config, error) {
	c := defaults()
	c.file = file
	seen := map[string]bool{}
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		if wrong := c.readLine(strings.TrimSuffix(line, "\r"), seen); wrong != "" {
			return Config{}, failure(sysexits.Config, "%s:%d: %s", file, number, wrong)
		}
	}
	return c, nil
}

// readLine returns what is wrong with a line, or "".
func (c *Config) readLine(line string, seen map[string]bool) string {
	if len(line) > maxLine {
		return fmt.Sprintf("longer than %d bytes", maxLine)
	}
	if !isPrintable(strings.ReplaceAll(line, "\t", " ")) {
		return "a byte that is not printable ASCII" + instead(line)
	}
	words := strings.Fields(line)
	if len(words) == 0 || words[0][0] == '#' {
		return ""
	}
	key, values := words[0], words[1:]
	if len(values) == 0 {
		return fmt.Sprintf(`"%s" has no value`, key)
	}
	for _, word := range words {
		if !consistsOf(word, "/._@+=,:*-") {
			return "only letters, digits and / . _ @ + = , : * - may stand in a value; a comment has a line of its own"
		}
	}
	if seen[key] && key != "hosts" && key != "acme_alias" {
		return fmt.Sprintf("%q is given twice", key)
	}
	seen[key] = true
	return c.set(key, values)
}

func (c *Config) set(key string, values []string) string {
	switch key {
	case "hosts":
		return c.addHosts(values)
	case "acme_alias":
		return c.addAlias(values)
	case "address":
		return c.Address.set(key, values)
	case "address6":
		return c.Address6.set(key, values)
	}
	if len(values) > 1 {
		return fmt.Sprintf("%q takes one word", key)
	}
	settings := c.settings()
	s, ok := settings[key]
	if !ok {
		known := append(slices.Collect(maps.Keys(settings)), "acme_alias", "address", "address6", "hosts")
		slices.Sort(known)
		last := len(known) - 1
		return fmt.Sprintf("unknown key %q; known are %s and %s", key, strings.Join(known[:last], ", "), known[last])
	}
	if !s.set(values[0]) {
		wrong := fmt.Sprintf("%q must be %s", key, s.mustBe)
		if key == "gateway" {
			wrong += portHint(values[0])
		}
		return wrong
	}
	return ""
}

// portHint says what to write in place of HOST:PORT.
func portHint(word string) string {
	colon := strings.LastIndexByte(word, ':')
	if colon < 0 || !isGateway(word[:colon]) || !isNumber(word[colon+1:], 1, 65535) {
		return ""
	}
	return "; for the port use a line of its own: port " + word[colon+1:]
}

// addHosts takes names as the gateway does: separated by commas too, with a final
// dot or without.
func (c *Config) addHosts(words []string) string {
	for _, word := range words {
		for host := range strings.SplitSeq(word, ",") {
			if host == "" {
				continue
			}
			host = strings.TrimSuffix(host, ".")
			if !isHostname(strings.TrimPrefix(host, "*.")) {
				return fmt.Sprintf("%q is not a hostname", host)
			}
			c.Hosts = append(c.Hosts, host)
		}
	}
	return ""
}

func (c *Config) addAlias(words []string) string {
	if len(words) != 2 {
		return `"acme_alias" takes a name, and the name whose challenge its own is a CNAME for`
	}
	for _, word := range words {
		if !isHostname(challenged(word)) {
			return fmt.Sprintf("%q is not a hostname", word)
		}
	}
	name := strings.ToLower(challenged(words[0]))
	if c.Aliases[name] != "" {
		return fmt.Sprintf("%q has an alias already", words[0])
	}
	if c.Aliases == nil {
		c.Aliases = make(map[string]string)
	}
	c.Aliases[name] = challenged(words[1])
	return ""
}

// challenged is a name as ACME clients give it, without the label
// _acme-challenge, "*." and a final dot.
func challenged(name string) string {
	name = strings.TrimPrefix(strings.TrimSuffix(name, "."), "_acme-challenge.")
	return strings.TrimPrefix(name, "*.")
}

func (s *Source) set(key string, words []string) string {
	*s = Source{words[0], words[1:]}
	switch {
	case len(words) == 1 && (s.Kind == "peer" || s.Kind == "argument"):
	case len(words) == 2 && s.Kind == "interface":
		if !isInterface(words[1]) {
			return fmt.Sprintf("%q is not an interface's name", words[1])
		}
	case len(words) == 2 && s.Kind == "file", len(words) >= 2 && s.Kind == "command":
		if !isPath(words[1]) {
			return fmt.Sprintf(`"%s %s" needs an absolute path`, key, s.Kind)
		}
	default:
		return fmt.Sprintf("%q must be peer, argument, interface NAME, file PATH or command PATH [WORD...]", key)
	}
	return ""
}

// instead names the first character that is not ASCII, and how DNS writes the
// name with it; for a word that is no name, it says what the script says.
func instead(line string) string {
	i := strings.IndexFunc(line, func(r rune) bool { return r > unicode.MaxASCII })
	if i < 0 {
		return ""
	}
	if why := idn.At(line, i); why != "" {
		return ": " + why
	}
	return "; a name with other letters is written in its xn-- form"
}

// shown makes any text fit to be shown: printable, and not long.
func shown(s string) string { return plain.ASCII(plain.Short(s, 200)) }
