package durable

import (
	"os"
	"syscall"
	"time"
)

// Stamp tells versions of a file apart.
type Stamp struct {
	Dev, Ino     uint64
	Size         int64
	Mtime, Ctime syscall.Timespec
}

// StampStep is the least time between two changes that a file's time stamps tell apart;
// the kernel's stamps are up to 10 ms coarse.
const StampStep = 20 * time.Millisecond

// StampOf is the stamp of what os.Stat returned.
func StampOf(info os.FileInfo) Stamp {
	st := info.Sys().(*syscall.Stat_t)
	return Stamp{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}
}

// StampAt is the stamp of the file that path leads to.
func StampAt(path string) (Stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Stamp{}, err
	}
	return StampOf(info), nil
}

// SameWrite reports whether s and o are of one version, renamed perhaps.
func (s Stamp) SameWrite(o Stamp) bool {
	o.Ctime = s.Ctime
	return s == o
}

// SameFile reports whether s and o are of one file, changed perhaps.
func (s Stamp) SameFile(o Stamp) bool { return s.Dev == o.Dev && s.Ino == o.Ino }

// Old reports whether the version is old enough that no later one can have its stamp.
func (s Stamp) Old(now time.Time) bool {
	last := max(s.Mtime.Nano(), s.Ctime.Nano())
	return now.UnixNano()-last > int64(StampStep)
}
