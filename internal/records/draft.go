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

// clone is a copy of d that does not change with it.
func (d *draft) clone() *draft {
	return &draft{d.from, d.revision, maps.Clone(d.hosts), slices.Clip(d.lines)}
}

// add puts what later changes on top of d.
func (d *draft) add(later *draft) {
	maps.Copy(d.hosts, later.hosts)
	d.lines = append(d.lines, later.lines...)
	d.revision = later.revision
}

// drop takes away what was so at revision already.
func (d *draft) drop(revision uint64) {
	maps.DeleteFunc(d.hosts, func(_ Name, st staged) bool { return st.host.Revision <= revision })
	i, _ := slices.BinarySearchFunc(d.lines, revision+1, func(l line, revision uint64) int {
		return cmp.Compare(l.Revision, revision)
	})
	d.lines = d.lines[i:]
	d.from, d.revision = max(d.from, revision), max(d.revision, revision)
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

func (d *draft) parseHost(name, value string) error {
	st, err := parseHost(name, value)
	if err != nil {
		return err
	}
	if r := st.host.Revision; r <= d.from || r > d.revision {
		return fmt.Errorf("host %q: revision %d is not of this group", name, r)
	}
	d.hosts[st.host.Name] = st
	return nil
}
