package config

import (
	"bytes"
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"
)

// locate returns the line of each key, table and list element of a document
// that is known to be TOML.
func locate(content []byte) map[string]int {
	l := locator{content: content, lines: make(map[string]int), entries: make(map[string]int)}
	l.parser.Reset(content)
	under := ""
	for l.parser.NextExpression() {
		switch e := l.parser.Expression(); e.Kind {
		case unstable.Table:
			under = l.key("", e)
		case unstable.ArrayTable:
			path := l.key("", e)
			under = element(path, l.entries[path])
			l.entries[path]++
			l.mark(under, l.at)
		case unstable.KeyValue:
			l.keyValue(under, e)
		}
	}
	return l.lines
}

type locator struct {
	parser  unstable.Parser
	content []byte
	lines   map[string]int
	entries map[string]int // how many times [[path]] was there

	offset, at int // the line of an offset, remembered to count on from there
}

func (l *locator) keyValue(under string, e *unstable.Node) {
	l.value(l.key(under, e), e.Value())
}

func (l *locator) value(path string, value *unstable.Node) {
	parts := value.Children()
	switch value.Kind {
	case unstable.Array:
		for i := 0; parts.Next(); i++ {
			part := element(path, i)
			if raw := parts.Node().Raw; raw.Length > 0 {
				l.mark(part, l.lineOf(raw))
			}
			l.value(part, parts.Node())
		}
	case unstable.InlineTable:
		for parts.Next() {
			l.keyValue(path, parts.Node())
		}
	}
}

// key marks the parts of a dotted key and returns its path. A part that names a
// list of tables means the last of them.
func (l *locator) key(under string, e *unstable.Node) string {
	path := under
	for key := e.Key(); key.Next(); {
		if n := l.entries[path]; n > 0 {
			path = element(path, n-1)
		}
		path = member(path, string(key.Node().Data))
		l.mark(path, l.lineOf(key.Node().Raw))
	}
	return path
}

func (l *locator) mark(path string, line int) {
	if _, ok := l.lines[path]; !ok {
		l.lines[path] = line
	}
}

func (l *locator) lineOf(raw unstable.Range) int {
	offset := int(raw.Offset)
	if offset < l.offset || l.at == 0 {
		l.offset, l.at = 0, 1
	}
	l.at += bytes.Count(l.content[l.offset:offset], []byte("\n"))
	l.offset = offset
	return l.at
}

// member and element are the paths of what is in a table, or in a list.
func member(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

func element(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
