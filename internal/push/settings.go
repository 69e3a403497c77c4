package push

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// setting is a key with a value of one word.
type setting struct {
	mustBe string
	set    func(word string) bool
}

func (c *Config) settings() map[string]setting {
	return map[string]setting{
		"gateway":         {"a hostname or an address", func(word string) bool { return setText(&c.Gateway, isGateway)(strings.TrimSuffix(word, ".")) }},
		"port":            {"a number from 1 to 65535", setNumber(&c.Port, 1, 65535)},
		"user":            {"a user's name", setText(&c.User, isLogin)},
		"key":             {"an absolute path", setText(&c.Key, isPath)},
		"known_hosts":     {"an absolute path", setText(&c.KnownHosts, isPath)},
		"host_key_alias":  {"a name", setText(&c.HostKeyAlias, isLogin)},
		"state":           {"an absolute path", setText(&c.State, isPath)},
		"family":          {"4, 6 or both", setText(&c.Family, oneOf("4", "6", "both"))},
		"ipv6":            {"stable, temporary or any", setText(&c.IPv6, oneOf("stable", "temporary", "any"))},
		"prefix":          {"a number from 1 to 127", setNumber(&c.Prefix, 1, 127)},
		"private":         {"yes or no", setYesNo(&c.Private)},
		"client":          {"auto, openssh, dbclient or plink", oneOf("auto", "openssh", "dbclient", "plink")}, // the script's
		"fresh":           {"a number of seconds up to 2592000", setSeconds(&c.Fresh, 0, 2592000)},
		"retry":           {"a number of seconds up to 86400", setSeconds(&c.Retry, 0, 86400)},
		"connect_timeout": {"a number of seconds from 1 to 120", setSeconds(&c.ConnectTimeout, 1, 120)},
	}
}

func setText(to *string, ok func(string) bool) func(string) bool {
	return func(word string) bool {
		*to = word
		return ok(word)
	}
}

func oneOf(choices ...string) func(string) bool {
	return func(word string) bool { return slices.Contains(choices, word) }
}

func setYesNo(to *bool) func(string) bool {
	return func(word string) bool {
		*to = word == "yes"
		return *to || word == "no"
	}
}

func setNumber(to *int, low, high int) func(string) bool {
	return func(word string) bool {
		*to, _ = strconv.Atoi(word)
		return isNumber(word, low, high)
	}
}

func setSeconds(to *time.Duration, low, high int) func(string) bool {
	return func(word string) bool {
		n, _ := strconv.Atoi(word)
		*to = time.Duration(n) * time.Second
		return isNumber(word, low, high)
	}
}
