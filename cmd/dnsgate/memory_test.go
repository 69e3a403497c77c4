//go:build !client

package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// The heap may always grow by about as much, but for the two bounds.
func TestCollectAt(t *testing.T) {
	for live, want := range map[uint64]int{
		0: mostPercent, 1 << 20: mostPercent, 8 << 20: 800, 16 << 20: 400,
		32 << 20: 200, 64 << 20: 100, 256 << 20: 25, 1000 << 20: leastPercent, 1 << 40: leastPercent,
	} {
		if got := collectAt(live, 64<<20); got != want {
			t.Errorf("%d MiB live: %d%%, want %d%%", live>>20, got, want)
		}
	}
}

// The memory limit is the least of a process's control groups.
func TestCgroupMemory(t *testing.T) {
	mount := t.TempDir()
	for path, text := range map[string]string{
		"a/memory.max": "104857600\n", "a/b/memory.max": "max\n", "a/b/c/memory.max": "209715200\n",
		"d/memory.max": "a lot\n", "memory.max": "1\n",
	} {
		path = filepath.Join(mount, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for lines, want := range map[string]uint64{
		"0::/a/b/c\n":                    100 << 20,
		"0::/a/b\n":                      100 << 20,
		"12:memory:/d\n0::/a/b/c\n":      100 << 20,
		"0::/d\n":                        math.MaxInt64,
		"0::/\n":                         math.MaxInt64,
		"0::/no/such\n":                  math.MaxInt64,
		"4:memory:/a\n":                  math.MaxInt64,
		"":                               math.MaxInt64,
		"0::/../../../a/b/c\nnonsense\n": 100 << 20,
	} {
		self := filepath.Join(t.TempDir(), "cgroup")
		if err := os.WriteFile(self, []byte(lines), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := cgroupMemory(self, mount); got != want {
			t.Errorf("%q: %d, want %d", lines, got, want)
		}
	}
	if got := cgroupMemory(filepath.Join(mount, "gone"), mount); got != math.MaxInt64 {
		t.Errorf("without the file: %d", got)
	}
}
