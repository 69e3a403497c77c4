package durable

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Files of a Batch fail each for itself, whether they are synced one by one or
// together, and leave no temporary file.
func TestBatch(t *testing.T) {
	for _, n := range []int{3, manyFiles + 1} {
		folder := t.TempDir()
		os.WriteFile(filepath.Join(folder, "gone"), []byte("old"), 0o600)
		os.MkdirAll(filepath.Join(folder, "full", "x"), 0o700)
		b := NewBatch(folder)
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
	b := NewBatch(folder)
	if err := b.Replace("a", []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Abort()
	if entries, _ := os.ReadDir(folder); len(entries) != 0 {
		t.Errorf("it left %v", entries)
	}
}
