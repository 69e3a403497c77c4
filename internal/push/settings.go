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
		"gateway":         {"a hostname or an address", func(word string) bool { return text(&c.Gateway, isGateway)(strings.TrimSuffix(word, ".")) }},
		"port":            {"a number from 1 to 65535", number(&c.Port, 1, 65535)},
		"user":            {"a user's name", text(&c.User, isLogin)},
		"key":             {"an absolute path", text(&c.Key, isPath)},
		"known_hosts":     {"an absolute path", text(&c.KnownHosts, isPath)},
		"host_key_alias":  {"a name", text(&c.HostKeyAlias, isLogin)},
		"state":           {"an absolute path", text(&c.State, isPath)},
		"family":          {"4, 6 or both", text(&c.Family, oneOf("4", "6", "both"))},
		"ipv6":            {"stable, temporary or any", text(&c.IPv6, oneOf("stable", "temporary", "any"))},
		"prefix":          {"a number from 1 to 127", number(&c.Prefix, 1, 127)},
		"private":         {"yes or no", yesNo(&c.Private)},
		"client":          {"auto, openssh, dbclient or plink", oneOf("auto", "openssh", "dbclient", "plink")}, // the script's
		"fresh":           {"a number of seconds up to 2592000", seconds(&c.Fresh, 0, 2592000)},
		"retry":           {"a number of seconds up to 86400", seconds(&c.Retry, 0, 86400)},
		"connect_timeout": {"a number of seconds from 1 to 120", seconds(&c.ConnectTimeout, 1, 120)},
	}
}

func text(to *string, ok func(string) bool) func(string) bool {
	return func(word string) bool {
		*to = word
		return ok(word)
	}
}

func oneOf(choices ...string) func(string) bool {
	return func(word string) bool { return slices.Contains(choices, word) }
}

func yesNo(to *bool) func(string) bool {
	return func(word string) bool {
		*to = word == "yes"
		return *to || word == "no"
	}
}

func number(to *int, low, high int) func(string) bool {
	return func(word string) bool {
		*to, _ = strconv.Atoi(word)
		return isNumber(word, low, high)
	}
}

func seconds(to *time.Duration, low, high int) func(string) bool {
	return func(word string) bool {
		n, _ := strconv.Atoi(word)
		*to = time.Duration(n) * time.Second
		return isNumber(word, low, high)
	}
}
