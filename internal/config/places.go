package config

import (
	"fmt"
	"strings"
)

// Places knows where the values of a configuration stand in its file, for what
// is only found wrong when they are used. The zero Places, of a configuration
// that was not read from a file, knows only their names.
type Places struct {
	file  string
	lines map[string]int
}

// Of is how an error begins that a value is to blame for: "FILE:LINE: KEY". Path
// is such as "tinydns.root", "host_keys[1]" or "rfc2136[0]". The line of a value
// that has its default is that of the table it belongs to.
func (p Places) Of(path string) string {
	var key strings.Builder // path without its indexes
	for part := range strings.SplitSeq(path, "]") {
		part, _, _ = strings.Cut(part, "[")
		key.WriteString(part)
	}
	if p.file == "" {
		return key.String()
	}
	return fmt.Sprintf("%s:%d: %s", p.file, lineOf(p.lines, path), &key)
}
