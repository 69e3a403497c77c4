package datafile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"dnsgate/internal/durable"
	"dnsgate/internal/publish"
	"dnsgate/internal/tinydns"
)

// fileWriter owns a data file that holds only dnsgate's lines, sorted by name.
type fileWriter struct {
	pending
	path    string
	file    *durable.Pair
	lines   *tinydns.Builder // all lines
	written bool             // by this process, or found to be right
	last    *durable.File    // was made of the lines that were written last; nil: they were found in the file
}

func newFileWriter(path string, lines *tinydns.Builder) *fileWriter {
	return &fileWriter{path: path, file: durable.NewPair(path, 0o644), lines: lines}
}

func (w *fileWriter) sweep() { durable.Sweep(w.path) }

func (w *fileWriter) close() { w.file.Close() }

func (w *fileWriter) write(_ context.Context, hosts publish.Pieces, whole bool) (written []string, err error) {
	if whole {
		w.lines.Clear()
	}
	n, err := applyAll(w.lines, hosts)
	if err != nil {
		return nil, err
	}
	intact := w.file.Intact()
	if intact && n == 0 && !whole {
		return nil, nil
	}
	current := intact && w.written && (w.last == nil || w.last.Committed())
	switch {
	case whole && w.written: // an operator asked for it
	case current && !w.lines.LinesChanged():
		return nil, nil
	case !current:
		same, err := w.found(intact)
		if err != nil || same {
			return nil, err
		}
	}
	f, err := w.begin(current)
	if err != nil {
		return nil, err
	}
	w.written, w.last, w.next = true, f, &draft{File: f}
	return []string{w.path}, nil
}

// found reports whether the file that is there has all lines already, and no others.
func (w *fileWriter) found(intact bool) (same bool, err error) {
	same, err = sameContent(w.path, func(out io.Writer) error { return w.lines.WriteLines(out, nil) })
	if same && !intact {
		err = w.file.Note()
	}
	if same {
		w.written, w.last = true, nil
	}
	return same, err
}

// begin writes all lines to the next version of the file. If the present one is current,
// most of them are copied from there.
func (w *fileWriter) begin(current bool) (f *durable.File, err error) {
	if f = w.file.Reuse(); f == nil {
		if f, err = w.file.Create(); err != nil {
			return nil, err
		}
	}
	copied := false
	if current {
		copied, err = w.copy(f)
	}
	if err == nil && !copied {
		err = w.lines.WriteLines(f, nil)
	}
	if err == nil {
		err = f.Cut()
	}
	if err != nil {
		f.Abort()
		return nil, fmt.Errorf("replacing %s: %w", f.Path(), err)
	}
	f.BeginSync()
	return f, nil
}

// copy writes all lines to f, those that stay from the present file. It is false, and f is
// to be written again from its beginning, if somebody changed that meanwhile.
func (w *fileWriter) copy(f *durable.File) (copied bool, err error) {
	present, err := openRegular(w.path)
	if err != nil {
		return false, nil
	}
	defer present.Close()
	err = w.lines.WriteLines(f, present)
	if w.file.Intact() {
		return err == nil, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return false, err
}

// sameContent reports whether the file at path holds exactly the output of write.
func sameContent(path string, write func(io.Writer) error) (bool, error) {
	f, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	c := &comparer{file: f}
	if err := write(c); err != nil && !errors.Is(err, errDiffers) {
		return false, err
	} else if err != nil {
		return false, nil
	}
	return c.atEnd()
}

// equals reports whether f, from where it is read next, holds exactly content.
func equals(f *os.File, content []byte) bool {
	c := &comparer{file: f}
	for piece := range slices.Chunk(content, 64<<10) {
		if _, err := c.Write(piece); err != nil {
			return false
		}
	}
	same, err := c.atEnd()
	return err == nil && same
}

var errDiffers = errors.New("the content differs")

// comparer compares its input with a file.
type comparer struct {
	file *os.File
	buf  []byte
}

// Write fails with errDiffers at the first difference.
func (c *comparer) Write(p []byte) (int, error) {
	if cap(c.buf) < len(p) {
		c.buf = make([]byte, len(p))
	}
	n, err := io.ReadFull(c.file, c.buf[:len(p)])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, errDiffers
	}
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(c.buf[:n], p) {
		return 0, errDiffers
	}
	return n, nil
}

func (c *comparer) atEnd() (bool, error) {
	var one [1]byte
	n, err := c.file.Read(one[:])
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n == 0, err
}
