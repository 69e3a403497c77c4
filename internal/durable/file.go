// Package durable replaces files so that a reader, a crash or a power loss
// meets the old content or the new, whole, and nothing else.
//
// The system calls of one replacement, in order, for strace to check; all names are
// those of the folder that was opened (openat(2), renameat(2)):
//
//	openat(folder, O_CREAT|O_EXCL|O_NOFOLLOW) of a unique name beside the file
//	fchown, fchmod        the old file's owner and mode
//	write...
//	fsync, close
//	rename                over the file
//	fsync                 of the folder
//
// A Pair, which replaces a file again and again, exchanges it with the version
// before instead (renameat2, RENAME_EXCHANGE), and makes the next one of that.
//
// It trusts the folder: anybody who may write there may replace the file anyway. It
// does not trust the folders above: they may be exchanged at any time.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Step, when a test sets it, is called after each step of a replacement with
// the step's name (Created, Written, Synced, Renamed, FolderSynced) and the
// path of the file replaced, so that the test can crash the process there. It
// must be set before the first Create.
var Step func(step, path string)

// The steps of a replacement, as reported to Step.
const (
	Created      = "created"
	Written      = "written"
	Synced       = "synced"
	Renamed      = "renamed"
	FolderSynced = "folder-synced"
)

// File is the new content of a file, still under a temporary name. It is
// written like any os.File, then ends with Commit or Abort.
type File struct {
	*os.File
	folder *Folder
	name   string
	temp   string                  // "": it has its name, or is removed
	pair   *Pair                   // nil: of none
	put    func(temp string) error // nil: f is renamed
	reused bool
	done   bool // Commit ended without an error

	syncing syncing // that BeginSync began
}

// Create begins the replacement of path, which need not exist. A symbolic
// link is followed as Resolve says, and the file that it leads to replaced. The
// new file gets the owner and mode of the old one, or else mode. It is the
// caller's duty to call Commit or Abort.
func Create(path string, mode fs.FileMode) (*File, error) {
	path, err := Resolve(path)
	if err != nil {
		return nil, err
	}
	return CreateHere(path, mode)
}

// CreateHere is Create for a folder in which links are not trusted: one at path
// is an error.
func CreateHere(path string, mode fs.FileMode) (*File, error) {
	folder, err := enterFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	file, temp, err := folder.create(name, mode)
	if err != nil {
		folder.Close()
		return nil, err
	}
	f := &File{File: file, folder: folder, name: name, temp: temp}
	f.step(Created)
	return f, nil
}

// Path is the file that Commit replaces, links resolved.
func (f *File) Path() string { return f.folder.path(f.name) }

// Reused reports whether f is not empty, but an earlier version; see Spare.
func (f *File) Reused() bool { return f.reused }

// Committed reports whether f is durable under its name, or was, if a later version is.
func (f *File) Committed() bool { return f.done }

// ReplaceBy makes Commit call put where it would rename f: put brings the whole and synced
// file temp into the place of f.Path(), and owns temp from then on. Commit syncs the folder
// after it.
func (f *File) ReplaceBy(put func(temp string) error) { f.put = put }

// Cut truncates f behind the place where it was written to last.
func (f *File) Cut() error {
	if !f.reused {
		return nil
	}
	end, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	return f.Truncate(end)
}

// BeginSync begins to sync f, which is whole, while the caller prepares what is committed
// with it. Commit and Abort wait for it.
func (f *File) BeginSync() {
	f.step(Written)
	f.syncing = beginSync(f.File)
}

// Commit makes f's content that of the file, durably. After an error the old
// file may have been replaced only if the error came from syncing the folder;
// the temporary file is gone in any case.
func (f *File) Commit() error { return Commit(f) }

// replace brings f into the place of the file.
func (f *File) replace() error {
	switch {
	case f.pair != nil:
		return f.pair.replace(f)
	case f.put != nil:
		temp := f.folder.path(f.temp)
		f.temp = ""
		return f.put(temp)
	}
	return f.rename(f.name)
}

// rename gives f the name to in place of its temporary one.
func (f *File) rename(to string) error {
	if err := f.folder.rename(f.temp, to); err != nil {
		return err
	}
	f.temp = ""
	return nil
}

// Abort removes the temporary file. After Commit it does nothing, so it can
// be deferred.
func (f *File) Abort() {
	f.syncing.wait()
	f.Close()
	if f.temp != "" {
		f.folder.remove(f.temp)
		f.temp = ""
	}
	f.folder.Close()
}

func (f *File) step(name string) { step(name, f.Path()) }

func step(name, path string) {
	if Step != nil {
		Step(name, path)
	}
}

// Rename gives a whole and synced file the name path, durably.
func Rename(temp, path string) error {
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// WriteFile replaces path's content with data, as Create and Commit do.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	f, err := Create(path, mode)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("replacing %s: %w", f.Path(), err)
	}
	return f.Commit()
}

// SyncFolder makes the names in a folder durable (fsync(2): the entry of a
// new file is not, by fsync of the file alone).
func SyncFolder(path string) error {
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0) // a FIFO is not waited for
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// MakeFolder makes a folder, and those above it, durably. It need not be new.
func MakeFolder(path string, mode fs.FileMode) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(filepath.Clean(path))
	if above != path {
		if err := MakeFolder(above, mode); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncFolder(above)
}
