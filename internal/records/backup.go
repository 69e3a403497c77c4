package records

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"time"
)

// A backup is text: a first line, then changes in the form of Change, then a last line
// that tells a complete backup from a torn one. First come the lines of the log; then a
// StateLine for each host whose state does not follow from the log.
const (
	backupFirst = "# dnsgate backup, format 1\n"
	backupLast  = "# end: %d lines, revision %d, crc32c %08x\n"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// BackupWriter writes the backup format.
type BackupWriter struct {
	w     *bufio.Writer
	crc   uint32
	lines int
	text  []byte
}

// NewBackupWriter begins a backup on w. Close ends it.
func NewBackupWriter(w io.Writer) *BackupWriter {
	b := &BackupWriter{w: bufio.NewWriterSize(w, 64<<10)}
	b.w.WriteString(backupFirst)
	return b
}

// Write adds one change.
func (b *BackupWriter) Write(c Change) error {
	b.text = append(c.AppendText(b.text[:0]), '\n')
	b.crc = crc32.Update(b.crc, castagnoli, b.text)
	b.lines++
	_, err := b.w.Write(b.text)
	return err
}

// Close writes the last line, with the store's revision.
func (b *BackupWriter) Close(revision uint64) error {
	fmt.Fprintf(b.w, backupLast, b.lines, revision, b.crc)
	return b.w.Flush()
}

const stateKey = "backup"

// StateLine gives the state of h. It is no history: its OLD is its NEW.
func StateLine(h Host) Change {
	return Change{
		Revision: h.Revision, Time: time.UnixMicro(h.Session).Truncate(time.Second), Name: h.Name,
		Old: h.Records, New: h.Records, TTL: h.TTL, Key: stateKey, Source: "-",
	}
}

// IsState reports whether c is a StateLine.
func (c Change) IsState() bool { return c.Key == stateKey && slices.Equal(c.Old, c.New) }

// backupReader reads the backup format.
type backupReader struct {
	lines    *bufio.Reader
	line     int // that was read last
	crc      uint32
	revision uint64 // the highest seen, then the backup's own
}

// BackupError is a fault of a backup's text.
type BackupError struct {
	Line int
	Err  error
}

func (e *BackupError) Error() string { return fmt.Sprintf("backup:%d: %v", e.Line, e.Err) }
func (e *BackupError) Unwrap() error { return e.Err }

// ReadBackup hands each change of a backup to add, and returns the store's revision. Each
// must be possible in a store. Faults of the text, and errors of add, are *BackupError.
func ReadBackup(r io.Reader, add func(Change) error) (revision uint64, err error) {
	const longest = 64 << 10 // bytes; a host has some dozen values at most
	b := &backupReader{lines: bufio.NewReaderSize(r, longest)}
	for {
		c, err := b.next()
		if err == io.EOF {
			return b.revision, nil
		}
		if err != nil {
			return 0, err
		}
		if err := add(c); err != nil {
			return 0, b.badLine(err)
		}
	}
}

// next returns the next change, or io.EOF once the whole backup was read.
func (b *backupReader) next() (Change, error) {
	text, err := b.read()
	if err == nil && b.line == 1 {
		if text != backupFirst {
			return Change{}, b.badLine(fmt.Errorf("not a backup of dnsgate: its first line is not %q", strings.TrimSpace(backupFirst)))
		}
		text, err = b.read()
	}
	if err != nil {
		return Change{}, err
	}
	if text[0] == '#' {
		if err := b.end(text); err != nil {
			return Change{}, b.badLine(err)
		}
		return Change{}, io.EOF
	}
	b.crc = crc32.Update(b.crc, castagnoli, []byte(text))
	c, err := ParseChange(text[:len(text)-1])
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return Change{}, b.badLine(err)
	}
	b.revision = max(b.revision, c.Revision)
	return c, nil
}

// badLine says that the last line is wrong.
func (b *backupReader) badLine(err error) error { return &BackupError{b.line, err} }

// read returns the next line, with its end.
func (b *backupReader) read() (string, error) {
	text, err := b.lines.ReadSlice('\n')
	b.line++
	switch {
	case err == nil:
		return string(text), nil
	case err == io.EOF && b.line == 1 && len(text) == 0:
		return "", b.badLine(errors.New("the input is empty; give it what the admin command backup wrote"))
	case err == io.EOF:
		return "", b.badLine(errors.New("it ends before its last line: the backup is torn"))
	case err == bufio.ErrBufferFull:
		return "", b.badLine(errors.New("line too long"))
	}
	return "", fmt.Errorf("reading the backup: %w", err)
}

// end checks the last line against what was read before it.
func (b *backupReader) end(text string) error {
	var lines int
	var revision uint64
	var crc uint32
	if _, err := fmt.Sscanf(text, backupLast, &lines, &revision, &crc); err != nil {
		return errors.New("not a backup's last line")
	}
	if lines != b.line-2 || crc != b.crc {
		return errors.New("lines are missing or were changed: the count or the checksum does not match")
	}
	if revision < b.revision || revision > maxRevision {
		return fmt.Errorf("revision %d is lower than that of a line, %d, or one that no store has", revision, b.revision)
	}
	b.revision = revision
	return nil
}
