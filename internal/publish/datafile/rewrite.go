package datafile

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"dnsgate/internal/durable"
	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// rewriteWriter puts the values of hosts into the lines that an operator's
// data file has for them, and touches no other byte. It never adds a line.
//
// The lines of "*.name" are those of the host "*.name" if there is one, else
// of name. Lines of one name and type share the host's values: a line keeps one
// that it has; the others go to the other lines in order, and after the last
// one the first again.
//
// Lines outside of the location that is set are the operator's. A host whose
// lines still differ by location or timestamp is refused and its lines stay as
// they are, because one address for all of them would tell some clients a
// wrong one.
//
// Once a host's addresses are gone its lines are turned off, with the "-" that
// tinydns-data ignores, and on again when there is one. So is one type if it
// ever had a value from dnsgate; otherwise its lines are the operator's. Lines
// that an operator turned off stay off while others of their kind are on. Of
// TXT lines only those at challenge names are dnsgate's.
type rewriteWriter struct {
	file  operatorFile
	only  *[2]byte // the location whose lines are dnsgate's; nil: any
	hosts map[records.Name]*rewritten
	given ledger     // hosts and types that had a value
	text  []byte     // as the last change left it
	found []hostLine // all lines of hosts in text, if known
	at    []place    // of each of found
	known bool
	due   []*rewritten // hosts that changed, if known
	pass  uint         // of find

	recheck bool               // somebody else changed it since every host's lines were looked at
	refused publish.HostErrors // by the last look
}

// rewritten is a host and its lines, as the last pass found them.
type rewritten struct {
	host   records.Host
	pass   uint
	lines  []int // in found
	groups []group
	views  tinydns.Views
}

// group is the lines of one name and type.
type group struct {
	groupKey
	on, off int    // lines
	kept    uint64 // a bit for each of the first 64 values that a line has already
	next    int    // value to give out
}

// nextValue is the place of the value for the next line that keeps none, of n.
func (g *group) nextValue(n int) int {
	for g.next < n && g.kept>>g.next&1 == 1 {
		g.next++
	}
	g.next++
	return (g.next - 1) % n
}

type groupKey struct {
	wildcard bool // the lines of "*.name", though the host is name
	kind     records.Type
}

// newRewriteWriter takes the location as dnsgate.toml has it: "" for any, and
// "-" for the lines without one.
func newRewriteWriter(path, location string, log *slog.Logger) *rewriteWriter {
	var only *[2]byte
	if location != "" {
		only = new([2]byte)
		copy(only[:], strings.TrimPrefix(location, "-"))
	}
	return &rewriteWriter{
		file:  operatorFile{path: path, log: log},
		only:  only,
		hosts: make(map[records.Name]*rewritten),
		given: ledger{path: beside(path, ".rewritten")},
	}
}

func (w *rewriteWriter) begun() []*draft { return w.file.begun() }

func (w *rewriteWriter) sweep() { durable.Sweep(w.file.path) }

func (w *rewriteWriter) write(ctx context.Context, pieces publish.Pieces, whole bool) (written []string, err error) {
	hosts, err := publish.Join(pieces)
	if err != nil {
		return nil, err
	}
	if whole {
		clear(w.hosts)
		w.known = false
	}
	for _, h := range hosts {
		w.put(h)
	}
	defer func() { w.due = w.due[:0] }()
	if err := w.remember(hosts); err != nil {
		w.known = false
		return nil, err
	}
	if whole || len(hosts) > 0 || !w.file.unchanged() {
		written, err = w.file.edit(ctx, w.change)
		if err != nil {
			w.known = false
			return written, err
		}
	}
	if w.look(hosts, whole); len(w.refused) > 0 {
		return written, maps.Clone(w.refused)
	}
	return written, nil
}

// put takes the newest state of a host. The lines of a new one are not known yet.
func (w *rewriteWriter) put(h records.Host) {
	at := w.hosts[h.Name]
	if at == nil {
		at, w.known = new(rewritten), false
		w.hosts[h.Name] = at
	}
	at.host = h
	if w.known {
		w.due = append(w.due, at)
	}
}

// remember notes the types of hosts that have had a value from dnsgate.
func (w *rewriteWriter) remember(hosts []records.Host) error {
	var given []string
	for _, h := range hosts {
		for _, t := range records.Types {
			if len(valuesOf(h, t)) > 0 {
				given = append(given, givenKey(h.Name, t))
			}
		}
	}
	return w.given.add(given)
}

func givenKey(name records.Name, t records.Type) string { return string(name) + " " + t.String() }

// ours reports whether lines of h without a value are to be turned off.
func (w *rewriteWriter) ours(h records.Host, t records.Type) bool {
	return len(h.Records) == 0 || w.given.has(givenKey(h.Name, t))
}

// count puts line l into its group.
func (h *rewritten) count(l *hostLine) {
	h.views.See(l.number, l.View)
	key := groupKey{l.wildcard, l.recordType()}
	at := slices.IndexFunc(h.groups, func(g group) bool { return g.groupKey == key })
	if at < 0 {
		at = len(h.groups)
		h.groups = append(h.groups, group{groupKey: key})
	}
	if l.Off {
		h.groups[at].off++
	} else {
		h.groups[at].on++
	}
	l.group = at
}

// owner returns the host that a line of a name belongs to, or nil.
func (w *rewriteWriter) owner(name []byte, t records.Type) (host *rewritten, wildcard bool) {
	if h := w.hosts[records.Name(name)]; h != nil {
		if t == records.TXT && !h.host.Name.IsChallenge() {
			return nil, false
		}
		return h, false
	}
	base, ok := bytes.CutPrefix(name, []byte("*."))
	if !ok || t == records.TXT {
		return nil, false
	}
	return w.hosts[records.Name(base)], true
}

// valuesOf are the records of h that lines of type t hold.
func valuesOf(h records.Host, t records.Type) []records.Record {
	first := 0
	for first < len(h.Records) && h.Records[first].Type() != t {
		first++
	}
	end := first
	for end < len(h.Records) && h.Records[end].Type() == t {
		end++
	}
	return h.Records[first:end]
}

func (w *rewriteWriter) close() { w.file.close() }
