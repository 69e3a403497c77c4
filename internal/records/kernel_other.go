//go:build !linux

package records

import (
	"os"

	"go.etcd.io/bbolt"
)

func releasePages(*bbolt.DB, int64) {}

func datasync(f *os.File) error { return f.Sync() }
