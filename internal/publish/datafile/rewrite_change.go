package datafile

import (
	"bytes"
	"slices"

	"dnsgate/internal/tinydns"
)

// change puts the hosts' values into the lines of data. If data is what the last change
// left, only lines of hosts that are due can differ; else the names of all lines are
// looked at.
func (w *rewriteWriter) change(data, memory []byte) ([]byte, error) {
	same := bytes.Equal(data, w.text)
	w.recheck = w.recheck || !same
	if !same || !w.known {
		w.find(data)
	}
	lines := w.dueLines(same && w.known)
	w.keep(data, lines)
	w.text, w.known = w.replace(data, memory, lines), true
	return w.text, nil
}

// find collects the lines of all hosts into w.found.
func (w *rewriteWriter) find(data []byte) {
	w.pass++
	w.found, w.at = w.found[:0], w.at[:0]
	var name []byte
	number := 0
	for start := 0; start < len(data); {
		end := len(data)
		if i := bytes.IndexByte(data[start:], '\n'); i >= 0 {
			end = start + i
		}
		number++
		at := place{start, end}
		l := hostLine{number: number}
		start = end + 1
		var ok bool
		if l.HostLine, ok = tinydns.ReadHostLine(at.in(data)); !ok || w.only != nil && l.Location != *w.only {
			continue
		}
		name = l.AppendOwner(name[:0], at.in(data))
		if l.host, l.wildcard = w.owner(name, l.recordType()); l.host == nil {
			continue
		}
		if l.host.pass != w.pass {
			*l.host = rewritten{host: l.host.host, pass: w.pass, lines: l.host.lines[:0], groups: l.host.groups[:0]}
		}
		l.host.lines = append(l.host.lines, len(w.found))
		l.host.count(&l)
		w.found, w.at = append(w.found, l), append(w.at, at)
	}
}

// dueLines are the places in w.found of the lines that may differ from their host's
// values: all, or those of the hosts that are due, whose lines it counts again.
func (w *rewriteWriter) dueLines(some bool) (lines []int) {
	if !some {
		for i := range w.found {
			lines = append(lines, i)
		}
		return lines
	}
	for _, h := range w.due {
		if h.pass == w.pass {
			lines = append(lines, h.lines...)
			h.groups, h.views = h.groups[:0], tinydns.Views{}
			for _, i := range h.lines {
				h.count(&w.found[i])
			}
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// keep finds those of the lines that already have one of their host's values. The values
// of other lines do not move there, so no PTR record changes for them.
func (w *rewriteWriter) keep(data []byte, lines []int) {
	for _, i := range lines {
		l := &w.found[i]
		l.keeps = -1
		g := &l.host.groups[l.group]
		if l.Off && g.on > 0 {
			continue
		}
		for v, r := range valuesOf(l.host.host, l.recordType()) {
			if v < 64 && g.kept>>v&1 == 0 && l.has(w.at[i].in(data), r) {
				g.kept |= 1 << v
				l.keeps = v
				break
			}
		}
	}
}

// replace returns data, in memory if it fits there, with new lines in the place of those,
// and w.at with where all lines are then.
func (w *rewriteWriter) replace(data, memory []byte, lines []int) []byte {
	out := slices.Grow(memory, len(data)+16*len(lines))
	done := 0 // of data
	for i := 0; i < len(w.found); i++ {
		if len(out) == done { // lines that stay do not move either
			if len(lines) == 0 {
				break
			}
			i = lines[0]
		}
		at := &w.at[i]
		if len(lines) > 0 && lines[0] == i {
			lines = lines[1:]
			l := &w.found[i]
			if next := w.next(l, at.in(data)); next != nil {
				out = append(append(out, data[done:at.start]...), next...)
				done = at.end
				*at = place{len(out) - len(next), len(out)}
				l.HostLine, _ = tinydns.ReadHostLine(next)
				continue
			}
		}
		at.start += len(out) - done
		at.end += len(out) - done
	}
	return append(out, data[done:]...)
}

// next is what l is to be, or nil if it is to stay.
func (w *rewriteWriter) next(l *hostLine, line []byte) []byte {
	if l.host.views.Differ() {
		return nil
	}
	g := &l.host.groups[l.group]
	values := valuesOf(l.host.host, l.recordType())
	on := len(values) > 0 && (!l.Off || g.on == 0)
	switch {
	case !on && (l.Off || !w.ours(l.host.host, l.recordType())):
		return nil
	case !on:
		return appendOff(nil, &l.HostLine, line)
	case l.keeps < 0:
		return appendOn(nil, &l.HostLine, line, values[g.nextValue(len(values))])
	}
	return appendOn(nil, &l.HostLine, line, values[l.keeps])
}
