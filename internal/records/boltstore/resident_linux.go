package boltstore

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// releasePages takes the pages of the file out of the process's memory (madvise(2)):
// after the load hardly any is needed. They stay in the kernel's cache, and come back
// when needed. It is a hint, so an error does not matter.
func releasePages(db *bbolt.DB, size int64) {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, db.Info().Data, uintptr(size), syscall.MADV_DONTNEED)
}
