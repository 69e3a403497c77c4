package durable

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Files of a Batch fail each for itself, whether they are synced one by one or
// together, and leave no temporary file.
func TestBatch(t *testing.T) {
	for _, n := range []int{3, manyFiles + 1} {
		folder := t.TempDir()
		os.WriteFile(filepath.Join(folder, "gone"), []byte("old"), 0o600)
		os.MkdirAll(filepath.Join(folder, "full", "x"), 0o700)
		b := NewBatch(openFolder(t, folder))
		for i := range n {
			if err := b.Replace(fmt.Sprint(i), []byte("new"), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		b.Remove("gone")
		b.Remove("full")
		failed, err := b.Commit()
		if err != nil || len(failed) != 1 || failed["full"] == nil {
			t.Errorf("%d files: %v, %v", n, failed, err)
		}
		entries, _ := os.ReadDir(folder)
		if len(entries) != n+1 {
			t.Errorf("%d files: the folder has %v", n, entries)
		}
		for i := range n {
			info, err := os.Stat(filepath.Join(folder, fmt.Sprint(i)))
			if err != nil || info.Size() != 3 || info.Mode() != 0o640 {
				t.Errorf("%d files: %v, %v", n, info, err)
			}
		}
	}
}

func TestBatchAborted(t *testing.T) {
	folder := t.TempDir()
	b := NewBatch(openFolder(t, folder))
	if err := b.Replace("a", []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Abort()
	if entries, _ := os.ReadDir(folder); len(entries) != 0 {
		t.Errorf("it left %v", entries)
	}
}

func openFolder(t *testing.T, path string) *Folder {
	t.Helper()
	f, err := OpenFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestTemporaryNameTaken: somebody puts a FIFO where a new version waits. It is
// not waited for.
func TestTemporaryNameTaken(t *testing.T) {
	folder := t.TempDir()
	Step = func(step, _ string) {
		if step != Written {
			return
		}
		for _, temp := range Leftovers(filepath.Join(folder, "a"), tempSuffix) {
			os.Remove(temp)
			if err := syscall.Mkfifo(temp, 0o666); err != nil {
				t.Error(err)
			}
		}
	}
	defer func() { Step = nil }()
	b := NewBatch(openFolder(t, folder))
	if err := b.Replace("a", []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if failed, err := b.Commit(); failed["a"] == nil || !strings.Contains(failed["a"].Error(), "not a regular file") {
		t.Errorf("%v, %v", failed, err)
	}
}
