package durable

import (
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// manyFiles is the number of files from which one sync of the file system costs less
// than one of each file.
const manyFiles = 32

// Batch replaces and removes files of one folder, in which links are not
// trusted. Each file succeeds or fails for itself; all of them share the sync of
// the folder.
type Batch struct {
	folder *Folder
	next   []replacement
	due    bool // the folder is to be synced

	syncing syncing // of the folder, that BeginSync began
}

// replacement is a file that waits under its temporary name.
type replacement struct {
	name string
	temp string // "": the file is to be removed
}

// NewBatch makes a Batch for folder, which the caller closes after it.
func NewBatch(folder *Folder) *Batch { return &Batch{folder: folder} }

// Replace begins the replacement of a file, which gets the owner and mode of the
// old one, or else mode.
func (b *Batch) Replace(name string, content []byte, mode fs.FileMode) error {
	f, temp, err := b.folder.create(name, mode)
	if err != nil {
		return err
	}
	step(Created, b.folder.path(name))
	_, err = f.Write(content)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		b.folder.remove(temp)
		return err
	}
	step(Written, b.folder.path(name))
	b.next = append(b.next, replacement{name, temp})
	return nil
}

// Remove marks a file for removal.
func (b *Batch) Remove(name string) { b.next = append(b.next, replacement{name: name}) }

// SyncFolder makes Sync sync the folder even if nothing in it changes.
func (b *Batch) SyncFolder() { b.due = true }

// Abort removes the temporary files.
func (b *Batch) Abort() {
	for _, r := range b.next {
		b.abort(r)
	}
	b.next = nil
}

// Commit makes the replacements and removals durable: no file has its new content
// before that is on the disk. It returns the failures by the file's name, and an error
// if the folder could not be synced.
func (b *Batch) Commit() (failed map[string]error, err error) {
	failed = b.Put()
	return failed, b.Sync()
}

// Put is the first part of Commit: all but the sync of the folder.
func (b *Batch) Put() (failed map[string]error) {
	failed = make(map[string]error)
	for i, err := range b.syncAll() {
		r := b.next[i]
		if err == nil {
			step(Synced, b.folder.path(r.name))
			err = b.replace(r)
		}
		if err != nil {
			b.abort(r)
			failed[r.name] = err
		}
	}
	b.due = b.due || len(b.next) > len(failed)
	b.next = nil
	return failed
}

// BeginSync begins what Sync does, while the caller prepares something else.
func (b *Batch) BeginSync() {
	if b.due {
		b.syncing = beginSync(b.folder.File)
	}
}

// Sync is the second part of Commit. It makes durable what Put put there.
func (b *Batch) Sync() error {
	if !b.due {
		return nil
	}
	if b.syncing == nil {
		b.BeginSync()
	}
	err := b.syncing.wait()
	if err == nil {
		step(FolderSynced, b.folder.Name())
	}
	return err
}

// syncAll syncs the temporary files, all at once; many by one sync of the file system
// (syncfs(2)). It returns an error for each.
func (b *Batch) syncAll() []error {
	errs := make([]error, len(b.next))
	if len(b.next) > manyFiles {
		err := unix.Syncfs(int(b.folder.Fd()))
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	var all sync.WaitGroup
	for i, r := range b.next {
		all.Go(func() { errs[i] = b.sync(r) })
	}
	all.Wait()
	return errs
}

func (b *Batch) sync(r replacement) error {
	if r.temp == "" {
		return nil
	}
	f, err := b.folder.OpenRegular(r.temp, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (b *Batch) replace(r replacement) (err error) {
	if r.temp == "" {
		err = b.folder.remove(r.name)
	} else {
		err = b.folder.rename(r.temp, r.name)
	}
	if err == nil {
		step(Renamed, b.folder.path(r.name))
	}
	return err
}

func (b *Batch) abort(r replacement) {
	if r.temp != "" {
		b.folder.remove(r.temp)
	}
}
