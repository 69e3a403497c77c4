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
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// fileWriter owns a data file that holds only dnsgate's lines, sorted by name.
type fileWriter struct {
	path    string
	file    *durable.Pair
	form    lineForm
	lines   *tinydns.Builder // all lines
	written bool             // by this process, or found to be right
	next    *durable.File    // to be committed; nil: none
}

// linesAtOnce is the number of hosts whose lines are made before they are compiled. The
// lines of a million would take 75 MB.
const linesAtOnce = 1 << 16

func newFileWriter(path string, form lineForm, lines *tinydns.Builder) *fileWriter {
	return &fileWriter{path: path, file: durable.NewPair(path, 0o644), form: form, lines: lines}
}

func (w *fileWriter) sweep() { durable.Sweep(w.path) }

func (w *fileWriter) close() { w.file.Close() }

func (w *fileWriter) write(ctx context.Context, hosts []records.Host, whole bool) (written []string, err error) {
	if whole {
		w.lines.Clear()
	}
	for some := range slices.Chunk(hosts, linesAtOnce) {
		if err := w.lines.Apply(w.form.owners(some)); err != nil {
			return nil, err
		}
	}
	intact := w.file.Intact()
	if intact && len(hosts) == 0 && !whole {
		return nil, nil
	}
	anew := whole && w.written // an operator asked for it
	if !anew {
		same, err := sameContent(w.path, w.lines.WriteLines)
		if same && !intact {
			err = w.file.Note()
		}
		if err != nil || same {
			w.written = w.written || same
			return nil, err
		}
	}
	if w.next, err = w.begin(); err != nil {
		return nil, err
	}
	w.written = true
	return []string{w.path}, nil
}

func (w *fileWriter) begun() (files []*durable.File) {
	if w.next != nil {
		files, w.next = []*durable.File{w.next}, nil
	}
	return files
}

// begin writes all lines to the next version of the file.
func (w *fileWriter) begin() (f *durable.File, err error) {
	if f = w.file.Reuse(); f == nil {
		if f, err = w.file.Create(); err != nil {
			return nil, err
		}
	}
	if err = w.lines.WriteLines(f); err == nil {
		err = f.Cut()
	}
	if err != nil {
		f.Abort()
		return nil, fmt.Errorf("replacing %s: %w", f.Path(), err)
	}
	return f, nil
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
