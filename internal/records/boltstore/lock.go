package boltstore

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFolder keeps two processes from making the store's file at once. The
// lock ends with Close, or with the process.
func lockFolder(folder string) (*os.File, error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errors.New("another dnsgate is at work in this folder")
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", folder, err)
	}
	return f, nil
}
