package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pair replaces one file again and again, with two files in turn: the file replaced
// last is kept beside it under a temporary name, and can become the next version. That
// spares the file system an inode, and a caller that knows the changes since then need
// not write the rest.
//
// A version is written to again only if nobody can see it do so: it is the one
// that this Pair made; it was replaced durably; it has no other name; and
// nobody has it open or mapped, which the kernel tells. Otherwise the next
// version is a new file, as it is where the file system cannot exchange files
// or tell. A Pair belongs to one goroutine.
type Pair struct {
	path string
	mode fs.FileMode
	last Stamp    // of the file as it should be
	ours bool     // Commit left it so
	old  *version // nil: none is kept
}

// version is a file that was replaced.
type version struct {
	path  string
	stamp Stamp
}

// NewPair makes a Pair for path. A new file gets mode.
func NewPair(path string, mode fs.FileMode) *Pair { return &Pair{path: path, mode: mode} }

// Intact reports whether the file is as the last Commit left it.
func (p *Pair) Intact() bool {
	now, err := StampAt(p.path)
	return err == nil && now == p.last
}

// Note takes the present file as the result of the last Commit.
func (p *Pair) Note() (err error) {
	p.ours = false
	p.last, err = StampAt(p.path)
	return err
}

// Create begins the next version: an empty file.
func (p *Pair) Create() (*File, error) {
	f, err := Create(p.path, p.mode)
	if err == nil {
		f.pair = p
	}
	return f, err
}

// Reuse begins the next version with the content of the one before the last
// Commit. It returns nil if that cannot be had; then Create makes a new file.
func (p *Pair) Reuse() *File {
	old := p.old
	if old == nil || !p.Intact() {
		return nil
	}
	path, err := Resolve(p.path)
	if err != nil {
		return nil
	}
	folder, err := enterFolder(filepath.Dir(path))
	if err != nil {
		return nil
	}
	f := &File{folder: folder, name: filepath.Base(path), temp: filepath.Base(old.path), pair: p, reused: true}
	f.File, err = folder.openat(f.temp, os.O_RDWR, 0)
	if err != nil || !old.free(f.File) || folder.inherit(f.File, f.name, p.mode) != nil {
		f.Close()
		folder.Close()
		return nil
	}
	p.old = nil
	f.step(Created)
	return f
}

// free reports whether file is the version as it was left, and nobody's else.
// A write lease is given only on a file that nobody else has open or mapped
// (fcntl(2), F_SETLEASE). It is given back at once: the name that is left is
// known to nobody.
func (v *version) free(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || StampOf(info) != v.stamp || info.Sys().(*syscall.Stat_t).Nlink != 1 {
		return false
	}
	if _, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		return false
	}
	_, err = unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return err == nil
}

// replace puts f in the place of the file, and keeps that if it is the version
// that was committed last.
func (p *Pair) replace(f *File) error {
	p.drop()
	was := p.last
	temp := f.folder.path(f.temp)
	made, err := StampAt(temp)
	if err != nil {
		return err
	}
	keep := p.ours && p.Intact()
	err = errors.ErrUnsupported
	if keep {
		folder := int(f.folder.Fd())
		err = unix.Renameat2(folder, f.temp, folder, f.name, unix.RENAME_EXCHANGE)
	}
	if err != nil { // it cannot exchange; or rename tells, too, what is wrong
		keep = false
		if err := f.rename(f.name); err != nil {
			return err
		}
	}
	if keep {
		now, err := StampAt(temp)
		if err == nil && now.SameWrite(was) { // else another writer's: Abort removes it
			p.old, f.temp = &version{temp, now}, ""
		}
	}
	err = p.Note()
	p.ours = err == nil && p.last.SameWrite(made)
	if err == nil && !p.ours { // somebody replaced it at once: not intact
		p.last = Stamp{}
	}
	return err
}

// drop gives up the version that is kept.
func (p *Pair) drop() {
	if p.old != nil {
		os.Remove(p.old.path)
		p.old = nil
	}
}

// Close removes what is kept beside the file.
func (p *Pair) Close() { p.drop() }
