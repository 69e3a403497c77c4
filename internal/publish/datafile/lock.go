package datafile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"dnsgate/internal/durable"
)

// lockName is the file in the root that names the process which writes there.
const lockName = ".dnsgate.lock"

// rootLock keeps a second dnsgate from writing to the same root. The kernel
// drops it when the process ends, however it ends.
type rootLock struct {
	root string
	file *os.File // nil: not held
}

// hold makes sure that the lock is held: the root may have vanished and come back
// since. anew is true if the lock was not held before.
func (l *rootLock) hold() (anew bool, err error) {
	path := filepath.Join(l.root, lockName)
	if l.file != nil {
		held, heldErr := l.file.Stat()
		there, err := os.Lstat(path)
		if heldErr == nil && err == nil && os.SameFile(held, there) {
			return false, nil
		}
	}
	file, err := durable.OpenRegular(path, os.O_RDONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return false, fmt.Errorf("locking: %w", err)
	}
	if err := durable.Lock(file, 0); err != nil {
		defer file.Close()
		if errors.Is(err, durable.ErrLocked) {
			pid := holder(file)
			if isDnsgate(pid) {
				return false, fmt.Errorf("%w (process %s) writes to %s; stop it first", errAnotherDnsgate, pid, l.root)
			}
			return false, fmt.Errorf("somebody who is no dnsgate holds the lock %s; remove it", path)
		}
		return false, err
	}
	l.close()
	l.file = file
	nameHolder(file)
	return true, nil
}

// nameHolder writes this process's number into the lock file, as a hint for people. The
// file is not kept open for writing, so that the file system can be made read-only. It
// is opened again by its descriptor, because its name may lead to another file by now.
// A file that is too long for a lock file, or has another name, is not ours and stays.
func nameHolder(file *os.File) {
	info, err := file.Stat()
	if err != nil || info.Size() > maxHolder || info.Sys().(*syscall.Stat_t).Nlink != 1 {
		return
	}
	f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", file.Fd()), os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	n, _ := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	_ = f.Truncate(int64(n))
}

// maxHolder is the length, in bytes, of the longest line in a lock file.
const maxHolder = 16

// errAnotherDnsgate is wrapped by hold's error if another dnsgate of this user or root
// holds the lock.
var errAnotherDnsgate = errors.New("another dnsgate")

// holder is the number of the process that a lock file names, or "".
func holder(file *os.File) string {
	var b [maxHolder]byte
	n, _ := file.ReadAt(b[:], 0)
	pid := strings.TrimSpace(string(b[:n]))
	if pid == "" || strings.Trim(pid, "0123456789") != "" {
		return ""
	}
	return pid
}

// isDnsgate reports whether a process is of this program, and root's or this user's
// own. Others may hold the lock too, and write anything into its file.
func isDnsgate(pid string) bool {
	ours, err := os.ReadFile("/proc/self/comm")
	if err != nil || pid == "" {
		return false
	}
	theirs, err := os.ReadFile("/proc/" + pid + "/comm")
	if err != nil || string(theirs) != string(ours) {
		return false
	}
	info, err := os.Stat("/proc/" + pid)
	if err != nil {
		return false
	}
	uid := info.Sys().(*syscall.Stat_t).Uid
	return uid == 0 || int(uid) == os.Geteuid()
}

func (l *rootLock) close() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
