package records

import (
	"path"
	"strings"
)

// Selection says which names are meant. It is data, so that a store can look for them
// anywhere.
type Selection struct {
	Names    []Name // these
	Suffixes []Name // the hostnames below these, and their challenge names
	Glob     string // those that path.Match matches; "*" are all
}

// All selects every name.
var All = Selection{Glob: "*"}

// Listed reports whether s is only a list of names.
func (s Selection) Listed() bool { return len(s.Suffixes) == 0 && s.Glob == "" }

// Matcher returns a function that reports whether a name is selected. Its cost for each
// name does not grow with the names and suffixes of s. A malformed Glob selects
// nothing.
func (s Selection) Matcher() func(Name) bool {
	if s.Glob == "*" {
		return func(Name) bool { return true }
	}
	names, suffixes := make(map[Name]struct{}, len(s.Names)), make(map[Name]struct{}, len(s.Suffixes))
	for _, name := range s.Names {
		names[name] = struct{}{}
	}
	for _, suffix := range s.Suffixes {
		suffixes[suffix] = struct{}{}
	}
	return func(name Name) bool {
		if _, ok := names[name]; ok {
			return true
		}
		if len(suffixes) > 0 && !name.IsWildcard() && belowAny(name.Host(), suffixes) {
			return true
		}
		match := false
		if s.Glob != "" {
			match, _ = path.Match(s.Glob, string(name))
		}
		return match
	}
}

func belowAny(name Name, suffixes map[Name]struct{}) bool {
	for {
		_, rest, more := strings.Cut(string(name), ".")
		if !more {
			return false
		}
		name = Name(rest)
		if _, ok := suffixes[name]; ok {
			return true
		}
	}
}
