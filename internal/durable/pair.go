package durable

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Pair replaces one file again and again, with two files in turn: the file replaced
// last is kept beside it under a temporary name, and can become the next version. That
// spares the file system an inode, and a caller that knows the changes since then need
// not write the rest.
//
// A version is written to again only if this Pair made it, it was replaced durably,
// and nobody can see the change (see Spare). Otherwise the next version is a new
// file, as it is where the file system cannot exchange files. A Pair belongs to one
// goroutine.
type Pair struct {
	path string
	mode fs.FileMode
	last Stamp  // of the file as it should be
	ours bool   // Commit left it so
	old  *Spare // nil: none is kept
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
	if p.old == nil || !p.Intact() {
		return nil
	}
	path, err := Resolve(p.path)
	if err != nil {
		return nil
	}
	f := p.old.Reuse(path, p.mode)
	if f != nil {
		f.pair, p.old = p, nil
	}
	return f
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
			p.old, f.temp = &Spare{temp, now}, ""
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
	p.old.Remove()
	p.old = nil
}

// Close removes what is kept beside the file.
func (p *Pair) Close() { p.drop() }
