package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"dnsgate/internal/durable"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Check says why a gateway that runs as the owner of folder could not open the store
// there. It changes and makes nothing: a missing store is no fault, and neither is one
// that a running gateway holds.
func Check(folder string) (err error) {
	if err := CheckJournal(folder); err != nil {
		return err
	}
	owner, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !owner.IsDir() {
		return fmt.Errorf("%s: not a folder", folder)
	}
	path := filepath.Join(folder, File)
	file, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if why := unreadable(path, file, owner); why != "" {
		return fmt.Errorf("%s: %s", path, why)
	}
	if err := checkContent(path); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// unreadable says why the owner of the folder cannot read and write the file.
func unreadable(path string, file, folder os.FileInfo) string {
	f, d := file.Sys().(*syscall.Stat_t), folder.Sys().(*syscall.Stat_t)
	switch {
	case !file.Mode().IsRegular():
		return "not a regular file"
	case d.Uid == 0:
		return ""
	case f.Uid != d.Uid:
		return fmt.Sprintf("it belongs to %s, and the folder to %s, who could not open it; run: chown %s %s",
			durable.Owner(file), durable.Owner(folder), durable.Owner(folder), path)
	case file.Mode().Perm()&0o600 != 0o600:
		return fmt.Sprintf("mode %04o keeps its owner from reading and writing it; run: chmod 600 %s", file.Mode().Perm(), path)
	}
	return ""
}

func checkContent(path string) (err error) {
	defer trapDamage(&err)()
	o := options()
	o.ReadOnly, o.InitialMmapSize = true, 0
	db, err := bbolt.Open(path, 0o600, o)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil // a gateway holds it
	}
	if err != nil {
		return err
	}
	defer db.Close()
	s := &Store{db: db}
	return s.load()
}
