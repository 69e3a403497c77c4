package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Problem is something wrong at one place of a configuration file.
type Problem struct {
	File string
	Line int // from 1
	Msg  string
}

func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Msg) }

// Problems are all faults of a file, in the order of its lines. As an error it is one
// line of text for each.
type Problems []Problem

func (list Problems) Error() string {
	var lines []string
	for _, p := range list {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// document is a TOML file whose values still know their lines.
type document struct {
	file   string
	values map[string]any
	lines  map[string]int // by path, such as "limits.max_startups" or "rfc2136[1].zone"
	faults Problems
}

// parseDocument reads TOML 1.0. An error against its grammar, such as a key given
// twice, is the only fault reported, for the rest would be guesses.
func parseDocument(file string, content []byte) (*document, error) {
	d := &document{file: file}
	if why := wrongEncoding(content); why != "" {
		return nil, Problems{{file, 1, why}}
	}
	err := toml.Unmarshal(content, &d.values)
	if bad := (*toml.DecodeError)(nil); errors.As(err, &bad) {
		line, column := bad.Position()
		why := strings.TrimPrefix(bad.Error(), "toml: ")
		return nil, Problems{{file, line, cmp.Or(oddCharacter(content, line, column), why)}}
	}
	if err != nil {
		return nil, Problems{{file, 1, err.Error()}}
	}
	d.lines = locate(content)
	return d, nil
}

// fault notes what is wrong with the value at path.
func (d *document) fault(path, format string, args ...any) {
	d.faults = append(d.faults, Problem{d.file, d.line(path), fmt.Sprintf(format, args...)})
}

// line is the line of path, or else of the table that it belongs to.
func (d *document) line(path string) int { return lineOf(d.lines, path) }

func lineOf(lines map[string]int, path string) int {
	for {
		if line, ok := lines[path]; ok {
			return line
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return 1
		}
		path = path[:i]
	}
}

func (d *document) sortedFaults() Problems {
	slices.SortStableFunc(d.faults, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return d.faults
}
