package durable

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// manyFiles is from how many files on one sync of the file system costs less
// than one of each file.
const manyFiles = 32

// Batch replaces and removes files of one folder, in which links are not
// trusted. Each file succeeds or fails for itself; all of them share the sync of
// the folder.
type Batch struct {
	folder string
	next   []replacement
}

// replacement is a file that waits under its temporary name.
type replacement struct {
	path   string // as Step is told of it
	temp   string // "": the file is to be removed
	target string // path, the links of its folder resolved
}

// NewBatch makes a Batch for folder.
func NewBatch(folder string) *Batch { return &Batch{folder: folder} }

// Replace begins the replacement of a file, as CreateHere does.
func (b *Batch) Replace(name string, content []byte, mode fs.FileMode) error {
	path := filepath.Join(b.folder, name)
	f, err := CreateHere(path, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(f.temp)
		return err
	}
	step(Written, path)
	b.next = append(b.next, replacement{path, f.temp, f.path})
	return nil
}

// Remove has a file removed.
func (b *Batch) Remove(name string) {
	b.next = append(b.next, replacement{path: filepath.Join(b.folder, name)})
}

// Abort removes the temporary files.
func (b *Batch) Abort() {
	for _, r := range b.next {
		r.abort()
	}
	b.next = nil
}

// Commit makes the replacements and removals, durably: no file has its new
// content before that is on the disk. It returns what failed, by the file's name,
// and an error if the folder could not be synced.
func (b *Batch) Commit() (failed map[string]error, err error) {
	failed = make(map[string]error)
	one := replacement.sync
	if len(b.next) > manyFiles {
		err := b.syncAll()
		one = func(replacement) error { return err }
	}
	for _, r := range b.next {
		err := one(r)
		if err == nil {
			step(Synced, r.path)
			err = r.replace()
		}
		if err != nil {
			r.abort()
			failed[filepath.Base(r.path)] = err
		}
	}
	if len(b.next) > len(failed) {
		err = SyncFolder(b.folder)
		step(FolderSynced, b.folder)
	}
	b.next = nil
	return failed, err
}

// syncAll syncs the file system that the folder is on (syncfs(2)).
func (b *Batch) syncAll() error {
	folder, err := os.Open(b.folder)
	if err != nil {
		return err
	}
	defer folder.Close()
	return unix.Syncfs(int(folder.Fd()))
}

func (r replacement) sync() error {
	if r.temp == "" {
		return nil
	}
	f, err := os.Open(r.temp)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (r replacement) replace() (err error) {
	if r.temp == "" {
		err = os.Remove(r.path)
	} else {
		err = os.Rename(r.temp, r.target)
	}
	if err == nil {
		step(Renamed, r.path)
	}
	return err
}

func (r replacement) abort() {
	if r.temp != "" {
		os.Remove(r.temp)
	}
}
