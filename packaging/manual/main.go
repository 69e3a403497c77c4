// Command manual renders the manual pages: the Markdown of docs/man, with the
// flags of the program and the keys of its files put in where a page asks for
// them. It trusts the source tree and the program that it is given.
//
// usage: manual SOURCE DNSGATE VERSION DATE OUT
//
// A page asks with a line that GitHub does not show:
//
//	<!-- commands -->               each command of dnsgate: usage, help and flags
//	<!-- flags push -->             the flags of one command
//	<!-- flags key add: acme ttl -->  some of them
//	<!-- keys limits -->            the keys of a table of dnsgate.toml; "top": those of none
//	<!-- push.conf -->              the keys of push.conf, which hooks/README.md has
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
)

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: manual SOURCE DNSGATE VERSION DATE OUT")
		os.Exit(64)
	}
	m := &manual{source: os.Args[1], dnsgate: os.Args[2], version: os.Args[3], date: os.Args[4]}
	if err := m.render(os.Args[5]); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}

// manual is what the pages are made of.
type manual struct {
	source, dnsgate string // the source tree, the program
	version, date   string
}

// render writes each docs/man/NAME.SECTION.md as out/NAME.SECTION.
func (m *manual) render(out string) error {
	pages, err := filepath.Glob(filepath.Join(m.source, "docs/man/*.[1-8].md"))
	if err != nil || len(pages) == 0 {
		return fmt.Errorf("no pages in %s/docs/man", m.source)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		filled, err := m.fill(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", page, err)
		}
		roff := md2man.Render([]byte(m.title(name) + sections(filled)))
		if err := os.WriteFile(filepath.Join(out, name), tidy(roff), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// title is the page's .TH line, which no page writes by itself.
func (m *manual) title(name string) string {
	page, section, _ := cutLast(name, ".")
	return fmt.Sprintf("%% %s %s %q %q %q\n\n", strings.ToUpper(page), section, m.date, "dnsgate "+m.version, "dnsgate manual")
}

var heading = regexp.MustCompile(`(?m)^## (.*)$`)

// sections takes away the title that a page has for readers of Markdown, and
// makes its headings a manual's.
func sections(text string) string {
	if _, below, found := strings.Cut(text, "\n## "); found {
		text = "## " + below
	}
	return heading.ReplaceAllStringFunc(text, func(line string) string { return "# " + line[len("## "):] })
}

// tidy indents examples, folds long lines, and removes the empty lines that
// md2man leaves: mandoc warns of all three.
func tidy(roff []byte) []byte {
	var b strings.Builder
	literal := false
	for line := range strings.SplitSeq(strings.TrimSpace(string(roff)), "\n") {
		switch {
		case line == ".EX":
			literal = true
			line = ".PP\n.RS 4\n.EX"
		case line == ".EE":
			literal = false
			line = ".EE\n.RE"
		case !literal && strings.TrimSpace(line) == "":
			continue
		case !literal && !strings.HasPrefix(line, "."):
			line = fold(line)
		}
		b.WriteString(line + "\n")
	}
	return []byte(b.String())
}

// fold breaks a line of text between words; none may begin with what roff
// takes for a request.
func fold(line string) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(line) {
		switch {
		case i == 0:
		case column+1+len(word) > 78 && !strings.ContainsAny(word[:1], ".'"):
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

var ask = regexp.MustCompile(`(?m)^<!-- (.*) -->$`)

// fill puts in what a page asks for.
func (m *manual) fill(page string) (string, error) {
	var failed error
	filled := ask.ReplaceAllStringFunc(page, func(line string) string {
		what := ask.FindStringSubmatch(line)[1]
		text, err := m.insertion(what)
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s: %w", what, err)
		}
		return text
	})
	return filled, failed
}

func (m *manual) insertion(what string) (string, error) {
	kind, which, _ := strings.Cut(what, " ")
	switch kind {
	case "commands":
		return m.commands()
	case "flags":
		command, some, _ := strings.Cut(which, ":")
		return m.flags(strings.Fields(command), strings.Fields(some))
	case "keys":
		return m.tomlKeys(which)
	case "push.conf":
		return m.pushKeys()
	}
	return "", fmt.Errorf("no such insertion")
}

// escape makes text stand for itself in Markdown.
func escape(text string) string {
	return regexp.MustCompile("[\\\\`*_<>\\[\\]#|]").ReplaceAllString(text, `\$0`)
}

// define is an entry of a definition list; the term is Markdown, the text too.
func define(term, text string) string { return term + "\n:   " + text + "\n\n" }

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
