package follow

import (
	"strings"

	"dnsgate/internal/records"
)

// Names are the names of a follower: each host with its wildcard and its challenge, and
// everything below each suffix.
type Names struct{ hosts, suffixes map[records.Name]bool }

// NewNames makes Names from the words of a line, or of a configuration.
func NewNames(hosts, suffixes []records.Name) Names {
	n := Names{make(map[records.Name]bool, len(hosts)), make(map[records.Name]bool, len(suffixes))}
	for _, name := range hosts {
		n.hosts[name] = true
	}
	for _, name := range suffixes {
		n.suffixes[name] = true
	}
	return n
}

// Has reports whether name is one of them.
func (n Names) Has(name records.Name) bool {
	if n.hosts[name.Host()] {
		return true
	}
	for above := string(name); len(n.suffixes) > 0; {
		_, rest, more := strings.Cut(above, ".")
		if !more {
			return false
		}
		if n.suffixes[records.Name(rest)] {
			return true
		}
		above = rest
	}
	return false
}
