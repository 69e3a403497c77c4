package tinydns

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCompileSurroundings compares Compile with tinydns-data where not the
// lines are the trouble, but the folder.
func TestCompileSurroundings(t *testing.T) {
	real := need(t, "tinydns-data")
	good := func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "data"), []byte("+a.example.com:1.2.3.4\n"), 0o600)
	}
	tests := []struct {
		name  string
		setup func(dir string) error
	}{
		{"fine", good},
		{"no data", func(dir string) error { return nil }},
		{"data is a folder", func(dir string) error { return os.Mkdir(filepath.Join(dir, "data"), 0o755) }},
		{"data is a loop", func(dir string) error { return os.Symlink("data", filepath.Join(dir, "data")) }},
		{"data is a fifo", func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "data"), 0o600) }},
		{"data is empty and old data.tmp is long", func(dir string) error {
			if err := os.WriteFile(filepath.Join(dir, "data.tmp"), make([]byte, 10000), 0o600); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "data"), nil, 0o600)
		}},
		{"data.tmp is a folder", func(dir string) error {
			if err := os.Mkdir(filepath.Join(dir, "data.tmp"), 0o755); err != nil {
				return err
			}
			return good(dir)
		}},
		{"disk full", func(dir string) error {
			if err := os.Symlink("/dev/full", filepath.Join(dir, "data.tmp")); err != nil {
				return err
			}
			return good(dir)
		}},
		{"data.tmp is a fifo", func(dir string) error {
			if err := syscall.Mkfifo(filepath.Join(dir, "data.tmp"), 0o600); err != nil {
				return err
			}
			return good(dir)
		}},
		{"data.cdb is a folder", func(dir string) error {
			if err := os.Mkdir(filepath.Join(dir, "data.cdb"), 0o755); err != nil {
				return err
			}
			return good(dir)
		}},
		{"data.cdb is a full folder", func(dir string) error {
			if err := os.MkdirAll(filepath.Join(dir, "data.cdb", "x"), 0o755); err != nil {
				return err
			}
			return good(dir)
		}},
		{"bad line and old data.cdb", func(dir string) error {
			if err := os.WriteFile(filepath.Join(dir, "data.cdb"), []byte("old"), 0o600); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "data"), []byte("?\n"), 0o600)
		}},
	}
	defer syscall.Umask(syscall.Umask(0o077)) // tinydns-data sets its own
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			theirs, ours := t.TempDir(), t.TempDir()
			for _, dir := range []string{theirs, ours} {
				if err := test.setup(dir); err != nil {
					t.Fatal(err)
				}
				// Not all of them can be dated; those that can, alike.
				_ = os.Chtimes(filepath.Join(dir, "data"), time.Unix(1, 0), time.Unix(1, 0))
			}
			exit, _, stderr := run(t, theirs, real)
			want := fmt.Sprintf("exit %d %s%s", exit, stderr, listing(t, theirs))
			got := "exit 0 "
			if err := Compile(ours); err != nil {
				got = fmt.Sprintf("exit 111 tinydns-data: fatal: %v\n", err)
			}
			if got += listing(t, ours); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// listing describes a folder: names, modes, and sizes of whole files.
func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(&b, entry.Name(), " ", info.Mode())
		if entry.Name() == "data.cdb" && info.Mode().IsRegular() {
			fmt.Fprint(&b, " ", info.Size())
		}
		b.WriteString("\n")
	}
	return b.String()
}
