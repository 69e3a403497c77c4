package durable

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("another process holds the lock")

// Forever is the patience of a caller that waits until it has the lock.
const Forever = time.Duration(1<<63 - 1)

// lockPoll is the time between two tries.
const lockPoll = 20 * time.Millisecond

// Lock locks an open file or folder against other processes (flock(2)). It waits
// for another holder as long as patience says, and returns ErrLocked then. The
// lock ends when f is closed, or with the process.
func Lock(f *os.File, patience time.Duration) error {
	for began := time.Now(); ; time.Sleep(lockPoll) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("locking %s: %w", f.Name(), err)
		case time.Since(began) >= patience:
			return ErrLocked
		}
	}
}

// LockFolder locks a folder at once or not at all; see Lock.
func LockFolder(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := Lock(f, 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
