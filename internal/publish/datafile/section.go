package datafile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"dnsgate/internal/durable"
	"dnsgate/internal/publish"
	"dnsgate/internal/tinydns"
)

// The lines that enclose dnsgate's part of an operator's data file.
const (
	sectionStart = "# start dynamic dns entries"
	sectionEnd   = "# end dynamic dns entries"
)

// sectionWriter owns the lines between the two markers of a data file, and no
// other byte in it.
type sectionWriter struct {
	file  operatorFile
	lines *tinydns.Builder // all lines of the section

	text       []byte // as change made it last
	start, end int    // of its section
}

func newSectionWriter(path string, dialect tinydns.Dialect, log *slog.Logger) *sectionWriter {
	return &sectionWriter{file: operatorFile{path: path, log: log}, lines: &tinydns.Builder{Dialect: dialect}}
}

func (w *sectionWriter) begun() []*draft { return w.file.begun() }

func (w *sectionWriter) sweep() { durable.Sweep(w.file.path) }

func (w *sectionWriter) write(ctx context.Context, hosts publish.Pieces, whole bool) (written []string, err error) {
	if whole {
		w.lines.Clear()
	}
	n, err := applyAll(w.lines, hosts)
	if err != nil {
		return nil, err
	}
	if !whole && n == 0 && w.file.unchanged() {
		return nil, nil
	}
	if whole && n == 0 && w.text == nil {
		w.warn()
	}
	return w.file.edit(ctx, w.change)
}

// warn tells that lines between the markers go because the store is empty: perhaps nobody
// has imported them.
func (w *sectionWriter) warn() {
	data, err := readFile(w.file.path)
	if err != nil {
		return // edit reports it
	}
	start, end, err := findSection(w.file.path, data)
	if lines := bytes.Count(data[start:end], []byte("\n")); err == nil && lines > 0 {
		w.file.log.Warn("the lines between the markers are removed, because the store has no hosts; dnsgate import section takes such lines into the store", "file", w.file.path, "lines", lines)
	}
}

// change puts the lines between the markers of data.
func (w *sectionWriter) change(data, memory []byte) ([]byte, error) {
	start, end, err := w.find(data)
	if err != nil {
		return nil, err
	}
	next := bytes.NewBuffer(slices.Grow(memory, len(data)+len(data)/8))
	next.Write(data[:start])
	var last io.ReaderAt
	if section := w.text[w.start:w.end]; bytes.Equal(data[start:end], section) {
		last = bytes.NewReader(section)
	}
	if err := w.lines.WriteLines(next, last); err != nil {
		return nil, err
	}
	w.start, w.end = start, next.Len()
	next.Write(data[end:])
	w.text = next.Bytes()
	return w.text, nil
}

// find returns where the section of data is.
func (w *sectionWriter) find(data []byte) (start, end int, err error) {
	if w.text != nil && bytes.Equal(data, w.text) {
		return w.start, w.end, nil
	}
	return findSection(w.file.path, data)
}

// findSection returns where the section of data begins, after its first
// marker's line, and where it ends, before the second one's.
func findSection(file string, data []byte) (start, end int, err error) {
	starts, ends := markers(data, sectionStart), markers(data, sectionEnd)
	line := func(at int) int { return 1 + bytes.Count(data[:at], []byte("\n")) }
	for _, m := range []struct {
		found  []int
		marker string
	}{{starts, sectionStart}, {ends, sectionEnd}} {
		if len(m.found) == 0 {
			return 0, 0, fmt.Errorf("%s:%d: there is no line %q", file, line(len(data)), m.marker)
		}
		if len(m.found) > 1 {
			return 0, 0, fmt.Errorf("%s:%d: a second line %q; the first is line %d",
				file, line(m.found[1]), m.marker, line(m.found[0]))
		}
	}
	if starts[0] > ends[0] {
		return 0, 0, fmt.Errorf("%s:%d: the line %q comes after %q, which is line %d",
			file, line(starts[0]), sectionStart, sectionEnd, line(ends[0]))
	}
	return starts[0] + bytes.IndexByte(data[starts[0]:], '\n') + 1, ends[0], nil
}

// markers finds where lines begin that are marker, blanks at their ends aside.
func markers(data []byte, marker string) (found []int) {
	for from := 0; ; {
		i := bytes.Index(data[from:], []byte(marker))
		if i < 0 {
			return found
		}
		at := from + i
		from = at + len(marker)
		rest, _, _ := bytes.Cut(data[from:], []byte("\n"))
		if (at == 0 || data[at-1] == '\n') && len(bytes.TrimRight(rest, " \t\r")) == 0 {
			found = append(found, at)
		}
	}
}

func (w *sectionWriter) close() { w.file.close() }
