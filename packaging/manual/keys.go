package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	tableLine = regexp.MustCompile(`^\[+([a-z0-9_.]+)\]+`)
	keyLine   = regexp.MustCompile(`^([a-z0-9_]+) *= *(.*)$`)
)

// tomlKeys is a list of the keys in one table of the dnsgate.toml that "dnsgate
// init" writes, with their defaults and its remarks. A remark stands above its
// key as a paragraph, or behind it and goes on below.
func (m *manual) tomlKeys(table string) (string, error) {
	text, err := os.ReadFile(filepath.Join(m.source, "internal/config/dnsgate.toml"))
	if err != nil {
		return "", err
	}
	var (
		b             strings.Builder
		in            = "top"
		above         []string
		setting, said string
	)
	end := func() {
		if setting != "" && in == table {
			b.WriteString(define("**"+strings.Replace(escape(setting), " = ", "** = ", 1), escape(said)))
		}
		setting, said = "", ""
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		line, shown := strings.CutPrefix(line, "#")
		if shown && !tableLine.MatchString(line) && !keyLine.MatchString(line) { // a remark, not a key shown as one
			above = append(above, strings.TrimSpace(line))
			continue
		}
		switch found := keyLine.FindStringSubmatch(line); {
		case tableLine.MatchString(line):
			end()
			in, above = tableLine.FindStringSubmatch(line)[1], nil
		case found != nil:
			end()
			value, behind := cutRemark(found[2])
			setting = found[1] + " = " + value
			said = strings.Join(append(above, behind), " ")
			above = nil
		case strings.HasPrefix(strings.TrimSpace(line), "#"):
			said += joined(strings.TrimSpace(line))
		default:
			end()
			above = nil
		}
	}
	end()
	if b.Len() == 0 {
		return "", fmt.Errorf("dnsgate.toml has no table %s", table)
	}
	return b.String(), nil
}

// joined is a remark's next line: a thought of its own, unless it is indented.
func joined(line string) string {
	line = strings.TrimPrefix(line, "#")
	if strings.HasPrefix(line, "  ") {
		return " " + strings.TrimSpace(line)
	}
	return "; " + strings.TrimSpace(line)
}

// cutRemark parts a value from the remark behind it; "#" in quotes is part of
// the value.
func cutRemark(text string) (value, said string) {
	quoted := false
	for i, c := range text {
		switch {
		case c == '"':
			quoted = !quoted
		case c == '#' && !quoted:
			return strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+1:])
		}
	}
	return strings.TrimSpace(text), ""
}

var row = regexp.MustCompile(`(?m)^\| (.*) \| (.*) \| (.*) \|$`)

// pushKeys is a list of push.conf's keys, from the table in hooks/README.md,
// which a test there holds against the script.
func (m *manual) pushKeys() (string, error) {
	text, err := os.ReadFile(filepath.Join(m.source, "hooks/README.md"))
	if err != nil {
		return "", err
	}
	_, table, found := strings.Cut(string(text), "| key | value | default |\n| --- | --- | --- |\n")
	if !found {
		return "", fmt.Errorf("hooks/README.md has no table of keys")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var b strings.Builder
	for _, cells := range row.FindAllStringSubmatch(table, -1) {
		b.WriteString(define("**"+escape(strings.Trim(cells[1], "`"))+"**",
			cells[2]+". Default: "+cells[3]+"."))
	}
	return b.String(), nil
}
