package datafile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/pause"
	"dnsgate/internal/tinydns"

	"golang.org/x/sys/unix"
)

const (
	// editorPatience is how long an editor may have a file open for writing.
	editorPatience = 2 * time.Second

	// glance is the time between two looks at a file that is being written.
	glance = 2 * time.Millisecond
)

// openRegular opens a file to read it, and nothing that could block.
func openRegular(path string) (*os.File, error) {
	return durable.OpenRegular(path, os.O_RDONLY, 0)
}

// openVersion is openRegular, and says which version of the file that is.
func openVersion(path string) (*os.File, fs.FileInfo, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// openness says whether somebody has a file open for writing.
type openness int

const (
	unknown openness = iota // the file system or the file's owner does not let us know
	closed
	opened
)

// openForWriting asks the kernel: a read lease is given only on a file that
// nobody has open for writing (fcntl(2), F_SETLEASE). The lease is given back
// at once, so that nobody who wants to write has to wait.
func openForWriting(f *os.File) openness {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	switch err {
	case nil:
		unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		return closed
	case unix.EAGAIN:
		return opened
	}
	return unknown
}

// readSettled reads a file once nobody is writing to it; it waits a while for that.
func readSettled(ctx context.Context, path string) ([]byte, durable.Stamp, error) {
	for deadline := time.Now().Add(editorPatience); ; pause.For(ctx, glance) {
		if err := ctx.Err(); err != nil {
			return nil, durable.Stamp{}, err
		}
		content, at, err := readOnce(path)
		if err != nil || content != nil {
			return content, at, err
		}
		if time.Now().After(deadline) {
			return nil, durable.Stamp{}, fmt.Errorf("%s: somebody has it open for writing, or changes it all the time", path)
		}
	}
}

// readOnce returns no content when the file is being written.
func readOnce(path string) ([]byte, durable.Stamp, error) {
	f, info, err := openVersion(path)
	if err != nil {
		return nil, durable.Stamp{}, err
	}
	defer f.Close()
	at := durable.StampOf(info)
	switch openForWriting(f) {
	case opened:
		return nil, durable.Stamp{}, nil
	case unknown:
		// A stamp tells a version from the next one only if the version has been left
		// alone for a moment.
		if age := time.Since(info.ModTime()); age >= 0 && age < durable.StampStep {
			return nil, durable.Stamp{}, nil
		}
	}
	content, err := readAll(f)
	if err != nil {
		return nil, durable.Stamp{}, err
	}
	now, err := durable.StampAt(path)
	if err != nil || now != at || openForWriting(f) == opened {
		return nil, durable.Stamp{}, err
	}
	return content, at, nil
}

// maxEdited is the size, in bytes, of the largest file that dnsgate edits: several
// copies of it are in memory meanwhile. A million hosts take half of it.
const maxEdited = 128 << 20

// readAll reads f from its start to its end; without an error the result is never nil.
// A file larger than maxEdited is an error, and so is a line longer than
// tinydns.MaxLine: it then reads no further, whatever size the file claims.
func readAll(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxEdited {
		return nil, fmt.Errorf("%s: %d bytes; files over %d MiB are not edited: have dnsgate write a file of its own, and name this one among sources", f.Name(), info.Size(), maxEdited>>20)
	}
	var content bytes.Buffer
	content.Grow(int(min(info.Size(), tinydns.MaxLine)) + bytes.MinRead)
	text := io.NewSectionReader(f, 0, info.Size())
	if _, err := content.ReadFrom(tinydns.LimitLines(f.Name(), text)); err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}

// readFile is readAll of the file at path.
func readFile(path string) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}
