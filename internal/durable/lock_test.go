package durable

import (
	"errors"
	"os"
	"testing"
	"time"
)

func TestLock(t *testing.T) {
	folder := t.TempDir()
	holder, err := LockFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockFolder(folder); !errors.Is(err, ErrLocked) {
		t.Errorf("a second holder: %v", err)
	}
	waiter, err := os.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer waiter.Close()
	if err := Lock(waiter, 3*lockPoll); !errors.Is(err, ErrLocked) {
		t.Errorf("after a while: %v", err)
	}
	time.AfterFunc(2*lockPoll, func() { holder.Close() })
	if err := Lock(waiter, Forever); err != nil {
		t.Errorf("once the holder has ended: %v", err)
	}
}
