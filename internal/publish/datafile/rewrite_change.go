package datafile

import (
	"bytes"
	"hash/maphash"
	"slices"

	"dnsgate/internal/tinydns"
)

// change puts the hosts' values into the lines of data. If data is what the last change
// left, only lines of hosts that are due can differ; else the names of all lines are
// looked at.
func (w *rewriteWriter) change(data []byte) ([]byte, error) {
	same := maphash.Bytes(w.seed, data) == w.sum
	w.recheck = w.recheck || !same
	if !same || !w.known {
		w.find(data)
	}
	lines := w.dueLines(same && w.known)
	w.keep(data, lines)
	out := w.replace(data, lines)
	w.sum, w.known = maphash.Bytes(w.seed, out), true
	return out, nil
}

// find collects the lines of all hosts into w.found.
func (w *rewriteWriter) find(data []byte) {
	w.pass++
	w.found = w.found[:0]
	var name []byte
	number := 0
	for start := 0; start < len(data); {
		end := len(data)
		if i := bytes.IndexByte(data[start:], '\n'); i >= 0 {
			end = start + i
		}
		number++
		l := hostLine{start: start, end: end, number: number}
		start = end + 1
		var ok bool
		if l.HostLine, ok = tinydns.ReadHostLine(data[l.start:l.end]); !ok || w.only != nil && l.Location != *w.only {
			continue
		}
		name = l.AppendOwner(name[:0], data[l.start:l.end])
		if l.host, l.wildcard = w.owner(name, l.recordType()); l.host == nil {
			continue
		}
		if l.host.pass != w.pass {
			*l.host = rewritten{host: l.host.host, pass: w.pass, lines: l.host.lines[:0], groups: l.host.groups[:0]}
		}
		l.host.lines = append(l.host.lines, len(w.found))
		l.host.count(&l)
		w.found = append(w.found, l)
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
			if v < 64 && g.kept>>v&1 == 0 && l.has(data, r) {
				g.kept |= 1 << v
				l.keeps = v
				break
			}
		}
	}
}

// replace returns data with new lines in the place of those, and w.found with where all
// lines are then.
func (w *rewriteWriter) replace(data []byte, lines []int) []byte {
	out := make([]byte, 0, len(data)+16*len(lines))
	done := 0 // of data
	for i := range w.found {
		l := &w.found[i]
		if len(lines) > 0 && lines[0] == i {
			lines = lines[1:]
			if next := w.next(l, data[l.start:l.end]); next != nil {
				out = append(append(out, data[done:l.start]...), next...)
				done = l.end
				l.start, l.end = len(out)-len(next), len(out)
				l.HostLine, _ = tinydns.ReadHostLine(next)
				continue
			}
		}
		l.start += len(out) - done
		l.end += len(out) - done
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
