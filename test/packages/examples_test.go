package packages_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// example is a command in a manual page, and what the page says that it says:
// "..." is any text, a line of its own any number of lines.
type example struct {
	line          int
	command, said string
}

// examples reads the section EXAMPLES of a page. A command begins with "# " or
// "$ "; what stands below "cat > FILE" is typed, until ^D.
func examples(t *testing.T, page string) (list []example) {
	t.Helper()
	text, err := os.ReadFile(page)
	must(t, err)
	within, typed := false, false
	number := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		number++
		if strings.HasPrefix(line, "## ") {
			within = line == "## EXAMPLES"
		}
		line, indented := strings.CutPrefix(line, "    ")
		if !within || !indented {
			continue
		}
		command := strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "$ ")
		switch {
		case typed && line == "^D":
			list[len(list)-1].command += "END\n"
			typed = false
		case typed:
			list[len(list)-1].command += line + "\n"
		case command && strings.HasPrefix(line[2:], "cat > "):
			list = append(list, example{line: number, command: line[2:] + " <<END\n"})
			typed = true
		case command:
			list = append(list, example{line: number, command: line[2:]})
		case len(list) == 0:
			t.Fatalf("%s:%d: what says this?", page, number)
		default:
			list[len(list)-1].said += line + "\n"
		}
	}
	if len(list) == 0 || typed {
		t.Fatalf("%s has no examples, or one without an end", page)
	}
	return list
}

// matches reports whether a command said what the page shows.
func (e example) matches(said string) bool {
	pattern := regexp.QuoteMeta(e.said)
	pattern = strings.ReplaceAll(pattern, `\.\.\.`+"\n", `(?:.*\n)*`)
	pattern = strings.ReplaceAll(pattern, `\.\.\.`, `.*`)
	return regexp.MustCompile("^" + pattern + "$").MatchString(said)
}

// TestExamplesAreCompared shows that wrong output is found.
func TestExamplesAreCompared(t *testing.T) {
	e := example{said: "good ... home\n...\nend\n"}
	for said, want := range map[string]bool{
		"good 1 home\nend\n": true, "good 1 home\nx\ny\nend\n": true, "good 1 house\nend\n": false, "end\n": false, "good 1 home\nend\nx\n": false,
	} {
		if e.matches(said) != want {
			t.Errorf("%q: %v", said, !want)
		}
	}
}

// run runs a page's examples on m, one after the other, in a folder of their own.
func (m *machine) run(t *testing.T, page string) {
	t.Helper()
	m.do(t, "here=$(mktemp -d); echo $here >/tmp/here; cp laptop* $here 2>/dev/null || :")
	for _, e := range examples(t, page) {
		m.settle()
		said := m.do(t, "cd \"$(cat /tmp/here)\"\nset +e\n"+e.command+"\nstatus=$?\npwd >/tmp/here\nexit $status")
		if !e.matches(said) {
			t.Errorf("%s:%d: %s\nsays\n%s\nnot\n%s", page, e.line, e.command, said, e.said)
		}
	}
}

// settle has the gateway read its keys now, and not within a second, as a person
// would not notice. A configuration that is wrong on purpose is no matter.
func (m *machine) settle() { m.sh("dnsgate admin reload").Run() }
