package records

import (
	"path"
	"slices"
)

// Selection says which names are meant. It is data, so that a store can look
// for them wherever it keeps them.
type Selection struct {
	Names    []Name // these
	Suffixes []Name // the hostnames below these, and their challenge names
	Glob     string // those that path.Match matches; "*" are all
}

// All selects every name.
var All = Selection{Glob: "*"}

// Listed reports whether s is but a list of names.
func (s Selection) Listed() bool { return len(s.Suffixes) == 0 && s.Glob == "" }

// Has reports whether name is selected. A malformed Glob selects nothing.
func (s Selection) Has(name Name) bool {
	if slices.Contains(s.Names, name) {
		return true
	}
	if !name.IsWildcard() && slices.ContainsFunc(s.Suffixes, name.Host().Below) {
		return true
	}
	match, _ := path.Match(s.Glob, string(name))
	return match
}
