package tinydns

import (
	"bufio"
	"io"
	"slices"
)

// LinesChanged reports whether WriteLines would write something else than last time.
func (b *Builder) LinesChanged() bool { return !slices.Equal(b.shelves, b.printed) }

// WriteLines writes the lines of all owners, sorted by name. If last is not nil, it
// must hold what the last call that returned nil wrote; lines that did not change are
// copied from there, which takes a fifth of the time.
func (b *Builder) WriteLines(w io.Writer, last io.ReaderAt) error {
	if last == nil {
		b.printed = nil
	}
	out := bufio.NewWriterSize(struct{ io.Writer }{w}, writeSize)
	sizes := make([]int, len(b.shelves))
	known := copier{shelves: b.printed, from: last, to: out}
	var lines []byte
	for i, s := range b.shelves {
		if known.take(s) {
			sizes[i] = s.text
			continue
		}
		if err := known.flush(); err != nil {
			return err
		}
		lines = s.appendLines(lines[:0], b.Dialect)
		sizes[i] = len(lines)
		if _, err := out.Write(lines); err != nil {
			return err
		}
	}
	if err := known.flush(); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	for i, s := range b.shelves {
		s.text = sizes[i]
	}
	b.printed = slices.Clone(b.shelves)
	return nil
}

func (s *shelf) appendLines(dst []byte, dialect Dialect) []byte {
	for i := range s.ends {
		dst = appendOwnerLines(dst, dialect, s.recordsOf(i))
	}
	return dst
}

// copier copies lines that did not change: it goes through the shelves whose lines were
// written last.
type copier struct {
	shelves []*shelf
	at      int64 // where the lines of shelves[0] begin
	from    io.ReaderAt
	to      io.Writer

	start, end int64 // taken, and not copied yet
	err        error
}

// take copies the lines of s, before long, if they were written. Shelves come in their
// order; one that was written stays on its place until it is gone for good.
func (c *copier) take(s *shelf) bool {
	if s.text == 0 {
		return false
	}
	i := slices.Index(c.shelves, s)
	if i < 0 {
		return false
	}
	for _, gone := range c.shelves[:i] {
		c.at += int64(gone.text)
	}
	c.shelves = c.shelves[i+1:]
	if c.at != c.end {
		c.err = c.flush()
		c.start = c.at
	}
	c.at += int64(s.text)
	c.end = c.at
	return true
}

// flush copies what was taken.
func (c *copier) flush() error {
	if c.err != nil || c.start == c.end {
		return c.err
	}
	n, err := io.Copy(c.to, io.NewSectionReader(c.from, c.start, c.end-c.start))
	if err == nil && n < c.end-c.start {
		err = io.ErrUnexpectedEOF
	}
	c.start, c.err = c.end, err
	return err
}
