package durable

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spare is a version of a file that has been replaced, and is kept beside it under a
// temporary name to become a later version. A nil Spare is none.
type Spare struct {
	path  string
	stamp Stamp
}

// NewSpare makes one of the file at temp, which has a temporary name. The caller makes
// sure that nobody needs its content, and that the version in its place is durable before
// the Spare is reused.
func NewSpare(temp string) (*Spare, error) {
	at, err := StampAt(temp)
	if err != nil {
		return nil, err
	}
	return &Spare{temp, at}, nil
}

// Reuse begins the next version of path, links resolved, with the content of the Spare,
// and with the owner and mode of the present version, or else mode. It returns nil if
// somebody could see the change: if the Spare has another name, if anybody has it open
// or mapped, or where the kernel does not tell. The Spare is then still there.
func (s *Spare) Reuse(path string, mode fs.FileMode) *File {
	if s == nil {
		return nil
	}
	folder, err := enterFolder(filepath.Dir(path))
	if err != nil {
		return nil
	}
	f := &File{folder: folder, name: filepath.Base(path), temp: filepath.Base(s.path), reused: true}
	f.File, err = folder.openat(f.temp, os.O_RDWR, 0)
	if err != nil || !s.free(f.File) || folder.inherit(f.File, f.name, mode) != nil {
		f.Close()
		folder.Close()
		return nil
	}
	f.step(Created)
	return f
}

// free reports whether file is the version as it was left, and nobody else's.
// A write lease is given only on a file that nobody else has open or mapped
// (fcntl(2), F_SETLEASE). It is given back at once: the name that is left is
// known to nobody.
func (s *Spare) free(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || StampOf(info) != s.stamp || info.Sys().(*syscall.Stat_t).Nlink != 1 {
		return false
	}
	if _, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		return false
	}
	_, err = unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return err == nil
}

// Remove removes the Spare's file.
func (s *Spare) Remove() {
	if s != nil {
		os.Remove(s.path)
	}
}
