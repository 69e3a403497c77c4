package tinydns

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Compile does what djb's tinydns-data does in the folder dir: it compiles the
// file data to data.tmp, makes that durable, and renames it to data.cdb. The
// default serial is the time at which data was last changed, in Unix seconds.
// After an error data.cdb is as it was, and data.tmp may be left behind. The
// error's text is what tinydns-data prints behind "tinydns-data: fatal: ".
//
// Like tinydns-data it sets the process's umask, to 022, while it runs.
func Compile(dir string) error { return CompileWatched(dir, nil) }

// CompileWatched is Compile. The bytes read of data, which has size bytes, are also
// written to the result of watch.
func CompileWatched(dir string, watch func(size int64) io.Writer) error {
	defer syscall.Umask(syscall.Umask(0o022))

	data, err := os.OpenFile(filepath.Join(dir, "data"), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("unable to open data: %s", systemText(err))
	}
	defer data.Close()
	info, err := data.Stat()
	if err != nil {
		return fmt.Errorf("unable to stat data: %s", systemText(err))
	}

	temp := filepath.Join(dir, "data.tmp")
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return fmt.Errorf("unable to create data.tmp: %s", systemText(err))
	}
	defer out.Close()
	var text io.Reader = data
	if watch != nil {
		text = io.TeeReader(data, watch(info.Size()))
	}
	if err := compileTo(out, text, max(uint32(info.ModTime().Unix()), 1)); err != nil {
		return compileError(err)
	}
	if err := out.Sync(); err != nil {
		return fmt.Errorf("unable to create data.tmp: %s", systemText(err))
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("unable to create data.tmp: %s", systemText(err))
	}
	// Not os.Rename, which has an error of its own for a folder in the way.
	if err := syscall.Rename(temp, filepath.Join(dir, "data.cdb")); err != nil {
		return fmt.Errorf("unable to move data.tmp to data.cdb: %s", systemText(err))
	}
	return nil
}

// compileTo writes the database of the lines in data to out.
func compileTo(out *os.File, data io.Reader, serial uint32) error {
	w := &pieceWriter{file: out, at: headerSize}
	var batches []batch
	err := encodeText(data, Stock, serial, func(c *chunk) error {
		base := w.end()
		if base+int64(len(c.records)) > maxSize {
			return errTooBig
		}
		batches = append(batches, batch{append([]entry(nil), c.entries...), uint32(base)})
		return w.write(c.records)
	})
	if err != nil {
		return err
	}
	t, err := newTables([]placed{{newIndex(batches), 0}}, w.end())
	if err != nil {
		return err
	}
	return t.write(w, nil)
}

// compileError gives err the text that tinydns-data has for it.
func compileError(err error) error {
	var fault *lineError
	var reading readError
	switch {
	case errors.Is(err, errLabelTooLong), errors.Is(err, errNameTooLong), errors.Is(err, errNoPort):
		return errors.New("protocol error")
	case errors.As(err, &fault):
		return fmt.Errorf("unable to parse data line %d: %w", fault.line, fault.err)
	case errors.As(err, &reading):
		return fmt.Errorf("unable to read line: %s", systemText(reading.error))
	case errors.Is(err, errTooBig):
		err = syscall.ENOMEM // what the C program makes of a position over 32 bits
	}
	return fmt.Errorf("unable to create data.tmp: %s", systemText(err))
}

// systemText is djb's text for the system error in err.
func systemText(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return err.Error()
	}
	if text, ok := systemTexts[errno]; ok {
		return text
	}
	return errno.Error()
}

var systemTexts = map[syscall.Errno]string{
	syscall.EACCES:    "access denied",
	syscall.EBUSY:     "device busy",
	syscall.EDQUOT:    "disk quota exceeded",
	syscall.EEXIST:    "file already exists",
	syscall.EFBIG:     "file too big",
	syscall.EINVAL:    "invalid argument",
	syscall.EIO:       "input/output error",
	syscall.EISDIR:    "is a directory",
	syscall.ELOOP:     "symbolic link loop",
	syscall.EMFILE:    "process cannot open more files",
	syscall.ENFILE:    "system cannot open more files",
	syscall.ENODEV:    "device does not support operation",
	syscall.ENOENT:    "file does not exist",
	syscall.ENOMEM:    "out of memory",
	syscall.ENOSPC:    "out of disk space",
	syscall.ENOTDIR:   "not a directory",
	syscall.ENOTEMPTY: "directory not empty",
	syscall.ENXIO:     "device not configured",
	syscall.EPERM:     "permission denied",
	syscall.EROFS:     "read-only file system",
	syscall.ESPIPE:    "unseekable descriptor",
	syscall.ESTALE:    "stale NFS file handle",
	syscall.ETXTBSY:   "text busy",
	syscall.EXDEV:     "cross-device link",
}
