package command

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"dnsgate/internal/plain"
	"dnsgate/internal/records"
	"dnsgate/internal/sysexits"
)

// Code is the first word of a reply: a return code of the DynDNS2 protocol, or a
// similar one.
type Code string

// The codes.
const (
	Good       Code = "good"    // stored durably and published
	NoChange   Code = "nochg"   // was so already
	BadCommand Code = "badcmd"  // no such command, or bad syntax
	BadAddress Code = "badaddr" // not an address, or one not to publish
	NotFQDN    Code = "notfqdn" // not a hostname
	NumHost    Code = "numhost" // too many hosts in one command
	NoHost     Code = "nohost"  // not this key's
	Abuse      Code = "abuse"   // over the rate
	DNSError   Code = "dnserr"  // stored, but not published
	Outage     Code = "911"     // nothing was stored, or that is not known
)

// Exit is the exit status that goes with c.
func (c Code) Exit() int {
	switch c {
	case Good, NoChange:
		return 0
	case BadCommand:
		return sysexits.Usage
	case BadAddress, NotFQDN, NumHost:
		return sysexits.Data
	case NoHost:
		return sysexits.NoPerm
	case Abuse, DNSError, Outage:
		return sysexits.Temp
	}
	return sysexits.Software
}

// Refusal is an error with a code: the reason why a command, or a line of a batch, was
// not carried out.
type Refusal struct {
	Code   Code
	Text   string // for the client
	Detail string // for the log instead, if there is more to say
}

func (f *Refusal) Error() string { return string(f.Code) + " " + f.Text }

func refusal(code Code, format string, args ...any) error {
	return &Refusal{Code: code, Text: soften(fmt.Sprintf(format, args...))}
}

// inside is a refusal whose cause is not for clients: the error may name the operator's
// files, lines and programs, or other hosts. The log has it.
func inside(code Code, cause error, format string, args ...any) error {
	return &Refusal{Code: code, Text: soften(fmt.Sprintf(format, args...)), Detail: fmt.Sprintf("%s: %v", fmt.Sprintf(format, args...), cause)}
}

// forClient is the reason why a name was not published in words for the client: those
// of the error, or a general text.
func forClient(err error) string {
	var told interface{ ForClient() string }
	if errors.As(err, &told) {
		return told.ForClient()
	}
	return "the name server could not be updated"
}

// errBug is what a panic becomes.
var errBug = refusal(Outage, "the gateway met a bug, and its log says more; please tell its operator")

// successWords are words that clients search replies for, some with strstr.
var successWords = regexp.MustCompile(`(?i:good|nochg)|OK|\b(?i:ok)\b`)

// soften keeps an explanation on one line, printable, and free of words that a client
// could take for success, even in quotations.
func soften(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, text)
	return successWords.ReplaceAllString(text, "***")
}

// asRefusal makes any error a Refusal. An error without a code is an outage.
func asRefusal(err error) *Refusal {
	var f *Refusal
	if errors.As(err, &f) {
		return f
	}
	errors.As(inside(Outage, err, "the gateway failed; its log says why"), &f)
	return f
}

func exitStatus(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errBug):
		return sysexits.Software
	}
	return asRefusal(err).Code.Exit()
}

// explain writes err to out, for programs, and to w, for people.
func explain(out, w io.Writer, err error) {
	f := asRefusal(err)
	fmt.Fprintln(out, f)
	fmt.Fprintln(w, f)
}

// join puts the texts of a list between commas.
func join[T any](list []T, text func(T) string) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = text(e)
	}
	return strings.Join(parts, ",")
}

func nameText(name records.Name) string { return string(name) }

// values joins the values of records: "-" for none.
func values(rs []records.Record) string { return cmp.Or(join(rs, records.Record.Value), "-") }

// shown is a client's text, shortened for a message.
func shown(s string) string { return plain.Short(s, 80) }
