package authkeys

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/crypto/ssh"
)

// Lookup's errors wrap one of these.
var (
	ErrUnknown = errors.New("the key is not authorized")
	ErrSource  = errors.New("the key may not be used from this address")
	ErrExpired = errors.New("the key has expired")
)

// Bounds of the file.
const (
	MaxLine     = 64 << 10 // bytes; a longer line is refused
	MaxFile     = 64 << 20 // bytes; a longer file is
	maxProblems = 1000     // reported one by one
)

// Set is the content of one authorized_keys file. It is never changed once
// made, so any goroutine may use it.
type Set struct {
	grants []Grant
	index  map[string]int32 // by fingerprint
}

// Problem is a fault of one line.
type Problem struct {
	File    string
	Line    int // from 1
	Msg     string
	Warning bool // the line works, but will not do what it seems to
}

func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Msg) }

// Parse reads the content of an authorized_keys file. A line that is not fully
// understood is rejected and reported, with file as the file's name; the others work.
// now decides which keys are reported as expired.
func Parse(file string, content []byte, now time.Time) (*Set, []Problem) {
	p := parser{file: file, now: now, set: &Set{index: make(map[string]int32)}}
	for line := range bytes.Lines(content) {
		p.number++
		p.line(line)
	}
	if more := p.refused - maxProblems; more > 0 {
		p.problems = append(p.problems, Problem{file, p.number, fmt.Sprintf("and %d more lines with faults", more), false})
	}
	return p.set, p.problems
}

type parser struct {
	file     string
	now      time.Time
	number   int
	set      *Set
	problems []Problem
	refused  int
}

func (p *parser) note(warning bool, format string, args ...any) {
	if p.refused++; p.refused <= maxProblems {
		p.problems = append(p.problems, Problem{p.file, p.number, fmt.Sprintf(format, args...), warning})
	}
}

func (p *parser) line(line []byte) {
	if len(line) > MaxLine {
		p.note(false, "longer than %d bytes", MaxLine)
		return
	}
	if !holdsKey(line) {
		return
	}
	g, _, err := parseLine(string(bytes.TrimSuffix(line, []byte("\n"))))
	if err != nil {
		p.note(false, "%s", err)
		return
	}
	if first, twice := p.set.index[g.Fingerprint]; twice {
		p.note(false, "the same key as in line %d", p.set.grants[first].Line)
		return
	}
	g.Line = p.number
	p.set.index[g.Fingerprint] = int32(len(p.set.grants))
	p.set.grants = append(p.set.grants, g)
	if g.Expired(p.now) {
		p.note(true, "the key expired at %s", g.Expires.Format(time.RFC3339))
	}
	if why := g.sources.impossible(); why != "" {
		p.note(true, "from can never match: %s", why)
	}
}

// holdsKey tells a line to parse from a blank one and a comment.
func holdsKey(line []byte) bool {
	line = bytes.TrimLeft(line, " \t\r\n")
	return len(line) > 0 && line[0] != '#'
}

// Lookup returns the grant of key when its proven owner connects from source. A
// certificate, as such or as the result of Certify, is looked up by its CA: a plain
// key's line does not count for a certificate, nor a CA's line for the CA's key itself.
// The error wraps ErrUnknown, ErrSource, ErrExpired or ErrCertificate.
func (s *Set) Lookup(key ssh.PublicKey, source netip.Addr, now time.Time) (Grant, error) {
	if key == nil {
		return Grant{}, ErrUnknown
	}
	i, ok := s.index[inFile(key)]
	if !ok || s.grants[i].CA != isCertificate(key) {
		return Grant{}, ErrUnknown
	}
	g := s.grants[i]
	if !g.sources.admit(source) {
		return Grant{}, fmt.Errorf("%w: %s is not in from=%q", ErrSource, source.Unmap(), g.From)
	}
	if g.Expired(now) {
		return Grant{}, fmt.Errorf("%w at %s", ErrExpired, g.Expires.Format(time.RFC3339))
	}
	if !g.CA {
		return g, nil
	}
	c, err := Certify(key)
	if err != nil {
		return Grant{}, err
	}
	return c.grant(g, source, now)
}

// Grants returns all grants in the order of their lines. The slice must not be
// changed.
func (s *Set) Grants() []Grant { return s.grants }
