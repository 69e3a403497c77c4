package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// help is what "dnsgate help COMMAND" prints, taken apart.
type help struct {
	about string   // what it does; indented lines are examples
	usage string   // "dnsgate key add HOST... < key.pub"
	subs  []string // its subcommands
	flags []flag   // its own
}

type flag struct {
	short, long, value string // "c", "config", "FILE"
	about              string
}

// heads of the parts of cobra's help.
const (
	usageHead  = "Usage:"
	subsHead   = "Available Commands:"
	flagsHead  = "Flags:"
	globalHead = "Global Flags:"
)

var (
	subLine  = regexp.MustCompile(`^  ([a-z0-9-]+) `)
	flagLine = regexp.MustCompile(`^ {2,6}(?:-(\w), )?--([a-z0-9-]+)(?: (\S+))? {2,}(.*)$`)
)

// help asks the program about one of its commands.
func (m *manual) help(command ...string) (*help, error) {
	out, err := exec.Command(m.dnsgate, append([]string{"help"}, command...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s help %s: %w", m.dnsgate, strings.Join(command, " "), err)
	}
	h, part := new(help), ""
	for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		if slices.Contains([]string{usageHead, subsHead, flagsHead, globalHead}, line) {
			part = line
			continue
		}
		switch part {
		case "":
			h.about += line + "\n"
		case usageHead:
			if usage := strings.TrimSuffix(strings.TrimSpace(line), " [flags]"); h.usage == "" {
				h.usage = usage
			}
		case subsHead:
			if found := subLine.FindStringSubmatch(line); found != nil {
				h.subs = append(h.subs, found[1])
			}
		case flagsHead:
			if f := flagLine.FindStringSubmatch(line); f != nil && f[2] != "help" {
				h.flags = append(h.flags, flag{f[1], f[2], f[3], f[4]})
			}
		}
	}
	if h.usage == "" {
		return nil, fmt.Errorf("%s help %s prints no usage", m.dnsgate, strings.Join(command, " "))
	}
	return h, nil
}

// commands is a section for each command that does something.
func (m *manual) commands() (string, error) {
	var b strings.Builder
	err := m.below(&b, nil)
	return b.String(), err
}

func (m *manual) below(b *strings.Builder, command []string) error {
	h, err := m.help(command...)
	if err != nil {
		return err
	}
	if len(command) > 0 && !strings.HasSuffix(h.usage, "[command]") {
		fmt.Fprintf(b, "### %s\n\n%s\n", escape(h.usage), paragraphs(h.about))
		for _, f := range h.flags {
			b.WriteString(f.define())
		}
	}
	for _, sub := range h.subs {
		if err := m.below(b, append(slices.Clone(command), sub)); err != nil {
			return err
		}
	}
	return nil
}

// paragraphs is a help text as Markdown: what is indented stays as it is.
func paragraphs(about string) string {
	var b strings.Builder
	for line := range strings.Lines(about) {
		if !strings.HasPrefix(line, "    ") {
			line = escape(line)
		}
		b.WriteString(line)
	}
	return b.String()
}

// flags is a list of a command's flags, or of some of them in the order given.
func (m *manual) flags(command, some []string) (string, error) {
	h, err := m.help(command...)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, f := range h.flags {
		if len(some) == 0 {
			b.WriteString(f.define())
		}
	}
	for _, name := range some {
		i := slices.IndexFunc(h.flags, func(f flag) bool { return f.long == name })
		if i < 0 {
			return "", fmt.Errorf("there is no --%s", name)
		}
		b.WriteString(h.flags[i].define())
	}
	return b.String(), nil
}

func (f flag) define() string {
	term := "**--" + f.long + "**"
	if f.short != "" {
		term = "**-" + f.short + "**, " + term
	}
	if f.value != "" {
		term += " *" + escape(f.value) + "*"
	}
	return define(term, escape(f.about))
}
