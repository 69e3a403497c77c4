package records

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// draft is what transactions change, those of one group or of several: from
// one revision to another.
type draft struct {
	from, revision uint64
	hosts          map[Name]staged
	lines          []line // in the order of their revisions
}

// staged is a host as a group leaves it.
type staged struct {
	host   Host
	logged uint64
	value  string // encoded host
}

// line is a line of the log, and the revision of the host's line before it.
type line struct {
	Change
	prev uint64
}

func newDraft(from uint64) *draft {
	return &draft{from: from, revision: from, hosts: make(map[Name]staged)}
}

// and is d with what later changes on top; d stays as it is.
func (d *draft) and(later *draft) *draft {
	both := &draft{from: d.from, revision: later.revision, hosts: maps.Clone(d.hosts)}
	maps.Copy(both.hosts, later.hosts)
	both.lines = slices.Concat(d.lines, later.lines)
	return both
}

// add puts what later changes on top of d. Whoever holds d's lines from
// before keeps what there was.
func (d *draft) add(later *draft) {
	maps.Copy(d.hosts, later.hosts)
	d.lines = append(d.lines, later.lines...)
	d.revision = later.revision
}

// since is a copy of the part of d that is later than revision.
func (d *draft) since(revision uint64) *draft {
	part := &draft{from: max(d.from, revision), revision: max(d.revision, revision), hosts: maps.Clone(d.hosts)}
	maps.DeleteFunc(part.hosts, func(_ Name, st staged) bool { return st.host.Revision <= revision })
	i, _ := slices.BinarySearchFunc(d.lines, revision+1, func(l line, revision uint64) int {
		return cmp.Compare(l.Revision, revision)
	})
	part.lines = d.lines[i:]
	return part
}

// appendText appends d as the journal keeps it:
//
//	uvarint from, uvarint hosts, and of each its name and value;
//	uvarint lines, and of each uvarint prev and its text
//
// where names, values and texts have their length, a uvarint, in front.
func (d *draft) appendText(b []byte) []byte {
	b = binary.AppendUvarint(b, d.from)
	b = binary.AppendUvarint(b, uint64(len(d.hosts)))
	for name, st := range d.hosts {
		b = appendString(appendString(b, string(name)), st.value)
	}
	b = binary.AppendUvarint(b, uint64(len(d.lines)))
	for _, l := range d.lines {
		b = appendString(binary.AppendUvarint(b, l.prev), l.String())
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parseDraft reads what appendText wrote of a draft to revision.
func parseDraft(text string, revision uint64) (*draft, error) {
	in := decoder{rest: text}
	d := newDraft(in.uvarint())
	d.revision = revision
	for n := in.uvarint(); n > 0 && in.err == nil; n-- {
		if err := d.parseHost(in.string(), in.string()); err != nil {
			return nil, err
		}
	}
	for n := in.uvarint(); n > 0 && in.err == nil; n-- {
		l := line{prev: in.uvarint()}
		var err error
		if l.Change, err = ParseChange(in.string()); err != nil {
			return nil, err
		}
		if l.Revision <= d.from || l.Revision > revision || l.prev >= l.Revision {
			return nil, fmt.Errorf("a line is of revision %d", l.Revision)
		}
		d.lines = append(d.lines, l)
	}
	if in.err == nil && in.rest != "" {
		in.err = errors.New("value goes on after its end")
	}
	return d, in.err
}

func (d *draft) parseHost(key, value string) error {
	name, err := ParseStored(key)
	if err != nil || string(name) != key {
		return fmt.Errorf("host %q: not a name in canonical form", key)
	}
	h, logged, _, err := decodeHost(name, value, nil)
	if err != nil {
		return fmt.Errorf("host %q: %w", key, err)
	}
	if h.Revision <= d.from || h.Revision > d.revision {
		return fmt.Errorf("host %q: revision %d is not of this group", key, h.Revision)
	}
	d.hosts[name] = staged{h, logged, value}
	return nil
}
