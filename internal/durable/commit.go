package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// Commit makes the content of each of files that of its file, durably. They share their
// syncs, so that it takes hardly longer than for one. After an error some of the files
// may have been replaced, each whole.
func Commit(files ...*File) (err error) {
	defer func() {
		for _, f := range files {
			f.Abort()
			if err != nil && f.pair != nil {
				f.pair.drop()
			}
		}
	}()
	if err := syncAll(files); err != nil {
		return err
	}
	for _, f := range files {
		f.step(Synced)
		if err := f.Close(); err != nil {
			return fmt.Errorf("replacing %s: %w", f.Path(), err)
		}
	}
	for _, f := range files {
		if err := f.replace(); err != nil {
			return fmt.Errorf("replacing %s: %w", f.Path(), err)
		}
		f.step(Renamed)
	}
	if err := syncFolders(files); err != nil {
		return err
	}
	for _, f := range files {
		f.done = true
		f.step(FolderSynced)
	}
	return nil
}

// syncAll syncs files, all at once.
func syncAll(files []*File) error {
	for _, f := range files {
		if f.syncing == nil {
			f.BeginSync()
		}
	}
	errs := make([]error, len(files))
	for i, f := range files {
		if err := f.syncing.wait(); err != nil {
			errs[i] = fmt.Errorf("replacing %s: %w", f.Path(), err)
		}
	}
	return errors.Join(errs...)
}

// syncFolders syncs the folders of files, each once and all at once. Two of one name may
// be two, if somebody exchanged them meanwhile.
func syncFolders(files []*File) error {
	var found []fs.FileInfo
	errs, syncs := make([]error, len(files)), make([]syncing, len(files))
	for i, f := range files {
		info, err := f.folder.Stat()
		if err == nil && slices.ContainsFunc(found, func(other fs.FileInfo) bool { return os.SameFile(info, other) }) {
			continue
		}
		found, errs[i] = append(found, info), err
		syncs[i] = beginSync(f.folder.File)
	}
	for i, f := range files {
		if err := errors.Join(errs[i], syncs[i].wait()); err != nil {
			errs[i] = fmt.Errorf("replacing files in %s: %w", f.folder.Name(), err)
		}
	}
	return errors.Join(errs...)
}
