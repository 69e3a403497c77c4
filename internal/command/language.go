package command

import (
	"fmt"
	"strings"

	"dnsgate/internal/authkeys"
)

// maxLine is the length, in bytes, of the longest command, and of the longest
// line of a batch.
const maxLine = 4096

// Request is a client's request: a line cut into words, or a shell.
type Request struct {
	line  string // for the log
	words []string
	err   error // why the line is no command for anybody
	shell bool
}

// Parse cuts a line into words. Faults of the line are answered by Run.
func Parse(line string) Request {
	if len(line) > maxLine { // the rest is not needed to refuse it
		line = strings.Clone(line[:maxLine+1])
	}
	words, err := split(line)
	return Request{line: line, words: words, err: err}
}

// Shell is the request of a client that names no command. Run answers with the usage,
// as an error.
func Shell() Request { return Request{shell: true} }

// ReadsInput reports whether the request reads its standard input. A door discards the
// input of every other request.
func (q Request) ReadsInput() bool {
	if len(q.words) == 0 {
		return false
	}
	v := find(q.words[0], anyKey)
	return v != nil && v.reads != nil && v.reads(q.words[1:])
}

// Lasts reports whether the request holds its connection for as long as both ends like.
// A door does not limit its time.
func (q Request) Lasts() bool { return len(q.words) > 0 && q.words[0] == "follow" }

func always([]string) bool { return true }

// role is a kind of key, or several.
type role uint8

const (
	allowKey   role = 1 << iota // may update its hosts
	adminKey                    // is the operator's
	monitorKey                  // belongs to a monitoring program
	followKey                   // belongs to a name server's machine
	readers    = adminKey | monitorKey
	anyKey     = allowKey | readers | followKey
)

func roleOf(g authkeys.Grant) role {
	switch {
	case g.Admin:
		return adminKey
	case g.Monitor:
		return monitorKey
	case g.Follow:
		return followKey
	}
	return allowKey
}

// verb is one command of the language.
type verb struct {
	name  string
	role  role                               // the keys that may run it
	reads func(words []string) bool          // whether it reads standard input; nil: never
	does  func(r *run, words []string) error // words are those after the name
	help  []use
}

// use is one way to use a verb: the words after its name, and their effect.
type use struct{ words, says string }

// verbs is the whole language, in the order of help.
var verbs []verb

func init() { // not a literal: help shows the table that it stands in
	verbs = []verb{
		{"update", allowKey, isBatch, (*run).update, []use{
			{"[--dry-run] [HOST...] [ADDRESS...]", "set addresses; none named: this connection's own"},
			{"-", "the same for each line of standard input"},
		}},
		{"offline", allowKey, nil, (*run).offline, []use{{"[-4] [-6] [HOST...]", "take addresses away"}}},
		{"acme", allowKey, nil, (*run).acme, []use{
			{"add HOST VALUE", "add a TXT record at _acme-challenge.HOST, for an hour"},
			{"del HOST VALUE", "take it away"},
		}},
		{"list", allowKey, nil, (*run).list, []use{{"[HOST...]", "show records"}}},
		{"history", allowKey, nil, (*run).history, []use{{"[HOST]", "show the last changes"}}},
		{"whoami", allowKey, nil, (*run).whoami, []use{{"", "show this key's hosts and limits, and your address"}}},

		{"status", readers, nil, (*run).status, []use{{"[--json]", "show the store, the publishers and the connections"}}},
		{"hosts", readers, nil, (*run).hosts, []use{{"[--json] [--silent=36h] [PATTERN]", "show records, and when hosts were last heard of; * and ? match"}}},
		{"keys", readers, nil, (*run).keys, []use{{"[--json]", "show the authorized keys and refused lines"}}},
		{"history", readers, nil, (*run).adminHistory, []use{{"[--json] [HOST]", "show the last changes"}}},
		{"reload", adminKey, nil, (*run).reload, []use{{"", "read keys and configuration again"}}},
		{"rebuild", adminKey, nil, (*run).rebuild, []use{{"", "publish everything anew"}}},
		{"offline", adminKey, nil, (*run).adminOffline, []use{{"HOST", "take a host's addresses away"}}},
		{"metrics", readers, nil, (*run).metrics, []use{{"", "show counters in Prometheus's text format"}}},
		{topVerb, readers, nil, (*run).top, []use{{"", "show what the gateway does, live; with ssh -t"}}},
		{"backup", adminKey, nil, (*run).backup, []use{{"", "write a snapshot for dnsgate restore"}}},
		{"follow", followKey, always, (*run).follow, []use{{"[STORE REVISION]", "stay, and take every change of this key's names; dnsgate follow does so"}}},
		{"whoami", readers | followKey, nil, (*run).whoami, []use{{"", "show this key and your address"}}},

		{"help", anyKey, nil, (*run).help, []use{{"", "show this"}}},
		{"version", anyKey, nil, (*run).version, []use{{"", "show the gateway's version"}}},
	}
}

// find returns the verb of that name for a role, or nil.
func find(name string, of role) *verb {
	for i := range verbs {
		if v := &verbs[i]; v.name == name && v.role&of != 0 {
			return v
		}
	}
	return nil
}

// usage is what help shows to a role.
func usage(of role) string {
	var b strings.Builder
	b.WriteString("dnsgate takes one command a session, such as: ssh gate help\n\n")
	for _, v := range verbs {
		for _, u := range v.help {
			if v.role&of != 0 {
				fmt.Fprintf(&b, "  %-46s %s\n", v.name+" "+u.words, u.says)
			}
		}
	}
	return b.String()
}
