package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"dnsgate/internal/durable"
)

// Writes of an earlier process may be in the kernel's memory only: it was killed before
// its fsync, or the fsync failed. They are made durable before anything depends on
// them. Otherwise a power loss would bring back the state before, whose pages may be in
// use again by then, and undo answers that clients were given since.

// openSettled opens the store's file for bbolt, locked as bbolt itself will
// lock it, verified and durable.
func openDurable(path string, flag int, mode fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flag&^os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	if err := makeDurable(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func makeDurable(f *os.File) error {
	if err := lockFile(f); err != nil {
		return err
	}
	meta, err := checkPages(f)
	if err != nil {
		return err
	}
	// After a failed fsync the kernel takes the page for written, so it is written
	// again. The pages that it names were durable before it.
	page := make([]byte, pageHeader+64)
	if _, err := f.ReadAt(page, meta); err != nil {
		return err
	}
	if _, err := f.WriteAt(page, meta); err != nil {
		return err
	}
	return f.Sync()
}

// lockFile waits a moment for a process that is about to end.
func lockFile(f *os.File) error {
	err := durable.Lock(f, time.Second)
	if errors.Is(err, durable.ErrLocked) {
		return errors.New("in use by another dnsgate; stop that one first")
	}
	return err
}

// lockFolder keeps two processes from making the store's file at once. The
// lock ends with Close, or with the process.
func lockFolder(folder string) (*os.File, error) {
	f, err := durable.LockFolder(folder)
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("locking %s: another dnsgate is at work in this folder", folder)
	}
	return f, err
}

// syncNames makes the names of the store's file and of its folder durable. The folder
// above it need not be readable; then its owner has made the folder.
func syncNames(folder string) error {
	if err := durable.SyncFolder(folder); err != nil {
		return err
	}
	err := durable.SyncFolder(filepath.Dir(filepath.Clean(folder)))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// there makes sure that the file in which changes are stored is the one that
// a later start will find: the folder may be gone, or another file system
// mounted over it.
func (s *Store) there() error {
	info, err := os.Lstat(s.path)
	if err == nil && !os.SameFile(info, s.file) {
		err = fmt.Errorf("%s: another file is in its place", s.path)
	}
	if err != nil {
		return fmt.Errorf("the store's file is gone (%w); put it back, or take a backup while dnsgate runs", err)
	}
	return nil
}
