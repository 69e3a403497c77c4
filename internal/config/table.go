package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// table reads the keys of one TOML table. Each method sets what it is given
// when the key is there and good, leaves it alone when the key is absent, and
// notes a fault otherwise.
type table struct {
	doc    *document
	path   string // such as "rfc2136[1]"
	name   string // such as "rfc2136"
	values map[string]any
	known  []string
}

func (t *table) has(key string) bool {
	_, ok := t.values[key]
	return ok
}

// get returns the value of a key that is known from now on.
func (t *table) get(key string) (any, bool) {
	t.known = append(t.known, key)
	value, ok := t.values[key]
	return value, ok
}

// typed is get of a value that must be a T, which must says in words. Any other is a
// fault.
func typed[T any](t *table, key, must string) (value T, ok bool) {
	found, ok := t.get(key)
	if !ok {
		return value, false
	}
	if value, ok = found.(T); !ok {
		t.fault(key, "must be %s, not %s", must, kind(found))
	}
	return value, ok
}

// fault notes what is wrong with a key, or with the table if key is empty.
func (t *table) fault(key, format string, args ...any) {
	t.faultAt(member(t.path, key), key, format, args...)
}

// faultAt notes it for one element of the key's list.
func (t *table) faultAt(path, key, format string, args ...any) {
	t.doc.fault(path, "%s %s", member(t.name, key), fmt.Sprintf(format, args...))
}

// unknown notes a fault for each key that no method asked for.
func (t *table) unknown() {
	for _, key := range slices.Sorted(maps.Keys(t.values)) {
		if !slices.Contains(t.known, key) {
			path := member(t.path, key)
			t.doc.fault(path, "unknown key %s; known here are %s", quote(key), strings.Join(t.known, ", "))
		}
	}
}

func (t *table) text(key string, into *string, check func(string) error) {
	text, ok := typed[string](t, key, "text in quotes")
	if !ok {
		return
	}
	if err := check(text); err != nil {
		t.fault(key, "= %s: %s", quote(text), err)
		return
	}
	*into = text
}

func (t *table) list(key string, into *[]string, check func(string) error) {
	elements, ok := typed[[]any](t, key, `a list of texts, such as ["one", "two"]`)
	if !ok {
		return
	}
	path, list := member(t.path, key), []string{}
	for i, e := range elements {
		text, ok := e.(string)
		if !ok {
			t.faultAt(element(path, i), key, "must hold only texts in quotes, not %s", kind(e))
		} else if err := check(text); err != nil {
			t.faultAt(element(path, i), key, "holds %s: %s", quote(text), err)
		} else {
			list = append(list, text)
		}
	}
	if len(list) == len(elements) {
		*into = list
	}
}

func (t *table) number(key string, into *int, low, high int64) {
	number, ok := typed[int64](t, key, "a whole number")
	if !ok {
		return
	}
	if number < low || number > high {
		t.fault(key, "= %d: must be from %d to %d", number, low, high)
		return
	}
	*into = int(number)
}

func (t *table) duration(key string, into *time.Duration, low, high time.Duration) {
	text, ok := typed[string](t, key, `a duration in quotes, such as "20s" or "10m"`)
	if !ok {
		return
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.fault(key, `= %s: not a duration, such as "20s" or "10m"`, quote(text))
		return
	}
	if d < low || d > high {
		t.fault(key, "= %s: must be from %s to %s", quote(text), low, high)
		return
	}
	*into = d
}

func (t *table) flag(key string, into *bool) {
	flag, ok := typed[bool](t, key, "true or false, without quotes")
	if ok {
		*into = flag
	}
}

// networks reads a list of addresses and CIDR networks.
func (t *table) networks(key string, into *[]netip.Prefix) {
	if !t.has(key) {
		return
	}
	var texts []string
	t.list(key, &texts, distinct(checkNetwork))
	*into = nil
	for _, text := range texts {
		network, _ := parseNetwork(text)
		*into = append(*into, network)
	}
}

// choice reads a text that must be one of the given.
func choice[T ~string](t *table, key string, into *T, choices ...T) {
	text := string(*into)
	t.text(key, &text, func(s string) error {
		if slices.Contains(choices, T(s)) {
			return nil
		}
		return fmt.Errorf("must be one of %q", choices)
	})
	*into = T(text)
}

// distinct refuses what a list holds already, beside what check refuses.
func distinct(check func(string) error) func(string) error {
	seen := make(map[string]bool)
	return func(text string) error {
		if seen[text] {
			return errors.New("it is there twice")
		}
		seen[text] = true
		return check(text)
	}
}

// command reads "builtin", which is no command, or the words of one.
func (t *table) command(key string, into *[]string) {
	const want = `must be "builtin", or a command as a list of its words, such as ["make"]`
	if text, ok := t.values[key].(string); ok {
		t.text(key, &text, func(s string) error {
			if s != "builtin" {
				return errors.New(want)
			}
			return nil
		})
		*into = nil
		return
	}
	words := *into
	t.list(key, &words, checkWord)
	if words != nil && (len(words) == 0 || words[0] == "") {
		t.fault(key, want)
		return
	}
	*into = words
}

func (t *table) table(key string) *table {
	values, ok := typed[map[string]any](t, key, "a table, ["+key+"]")
	if !ok {
		return nil
	}
	return &table{doc: t.doc, path: member(t.path, key), name: member(t.name, key), values: values}
}

func (t *table) tables(key string) []*table {
	elements, ok := typed[[]any](t, key, "tables, [["+key+"]] each")
	if !ok {
		return nil
	}
	var list []*table
	for i, e := range elements {
		path := element(member(t.path, key), i)
		values, ok := e.(map[string]any)
		if !ok {
			t.faultAt(path, key, "must be tables, [[%s]] each, not %s", key, kind(e))
			continue
		}
		list = append(list, &table{doc: t.doc, path: path, name: member(t.name, key), values: values})
	}
	return list
}

// kind names the type of a TOML value.
func kind(value any) string {
	switch value.(type) {
	case string:
		return "text"
	case int64:
		return "a number"
	case float64:
		return "a fraction"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}
