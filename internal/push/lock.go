package push

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"dnsgate/internal/pause"
	"dnsgate/internal/sysexits"
)

const (
	lockTimeout = 10 * time.Minute // longer than any attempt
	clockSkew   = time.Minute
)

// lock waits for the lock: a name that is made at once or not at all, and
// that leads to its holder's process and the time. The error is a *Failure.
func (s *state) lock(ctx context.Context) error {
	path := s.lockPath()
	for end := time.Now().Add(lockTimeout); ; pause.For(ctx, time.Second/4) {
		holder := fmt.Sprintf("%d.%d", os.Getpid(), time.Now().Unix())
		err := makeLock(path, holder)
		if err == nil {
			s.locked = true
			return nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return failure(sysexits.IO, "%s: cannot be written: %w", s.folder, err)
		}
		if s.breakStaleLock() {
			continue
		}
		if ctx.Err() != nil || time.Now().After(end) {
			return &Failure{sysexits.Temp, fmt.Errorf("another push holds %s", path)}
		}
	}
}

func (s *state) lockPath() string { return filepath.Join(s.folder, "lock") }

func (s *state) unlock() {
	if s.locked {
		os.Remove(s.lockPath())
	}
	s.locked = false
}

// breakStaleLock removes the lock of a dead process, or one older than any
// attempt can last (its process number may have been used again). The rename
// makes sure that only one of several waiters removes it.
func (s *state) breakStaleLock() bool {
	path := s.lockPath()
	holder, err := readLock(path)
	if err != nil || isHeld(holder) {
		return false
	}
	moved := fmt.Sprintf("%s.%d", path, os.Getpid())
	if os.Rename(path, moved) != nil {
		return false
	}
	got, err := readLock(moved)
	os.Remove(moved)
	if err == nil && got != holder {
		makeLock(path, got) // it was a newer one's
	}
	return true
}

func isHeld(holder string) bool {
	pid, since, _ := strings.Cut(holder, ".")
	number, err := strconv.Atoi(pid)
	seconds, ok := unixSeconds(since)
	if err != nil || !ok || number <= 0 {
		return false
	}
	age := time.Since(time.Unix(seconds, 0))
	return -clockSkew <= age && age < lockTimeout && isAlive(number)
}
