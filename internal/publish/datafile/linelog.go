package datafile

import (
	"bytes"
	"log/slog"
	"strings"
)

const (
	maxOutputLine  = 1024 // bytes of a line that are logged
	maxOutputLines = 1000 // that are logged of one run
	toldLines      = 2    // that the client's error quotes: make's last one only says that it failed
)

// lineLog logs what a command prints, line by line.
type lineLog struct {
	log     *slog.Logger
	what    string // the option that names the command
	command string
	line    []byte
	lines   int
	last    []string // up to toldLines lines that are not empty
}

// Write takes any part of the output.
func (l *lineLog) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		part, rest, whole := bytes.Cut(p, []byte("\n"))
		l.line = append(l.line, part[:min(len(part), maxOutputLine-len(l.line))]...)
		if whole {
			l.end()
		}
		p = rest
	}
	return n, nil
}

// end logs the line that has no end yet.
func (l *lineLog) end() {
	line := strings.TrimSpace(string(l.line))
	l.line = l.line[:0]
	if line == "" {
		return
	}
	if len(l.last) == toldLines {
		l.last = l.last[1:]
	}
	l.last = append(l.last, line)
	switch l.lines++; {
	case l.lines <= maxOutputLines:
		l.log.Info(l.what, "command", l.command, "output", line)
	case l.lines == maxOutputLines+1:
		l.log.Warn("a command prints too much; the rest is left out", "for", l.what, "command", l.command)
	}
}
