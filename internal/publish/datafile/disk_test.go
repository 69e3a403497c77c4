package datafile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dnsgate/internal/records"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of 256 KiB until the test ends.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		if os.Getenv("CI") != "" && os.Geteuid() == 0 {
			t.Fatal(err)
		}
		t.Skipf("mounting: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestAFullDiskKeepsTheFiles(t *testing.T) {
	for _, how := range []string{"file", "section", "rewrite", "hosts"} {
		t.Run(how, func(t *testing.T) {
			root := smallDisk(t)
			write(t, filepath.Join(root, "zone"), zone)
			write(t, filepath.Join(root, "data"), emptySection+"+a.example.com:192.0.2.1\n+b.example.com:192.0.2.1\n")
			if err := os.Mkdir(filepath.Join(root, "hosts"), 0o755); err != nil {
				t.Fatal(err)
			}
			target := newTarget(t, crashOptions(root, how))
			serve(t, target, true, crashBefore...)
			before := snapshot(t, root)
			changes := crashAfter[:1] // no file goes, which would make room

			fill(t, root)
			err := target.Publish(context.Background(), changes, false)
			if !errors.Is(err, syscall.ENOSPC) && (err == nil || !strings.Contains(err.Error(), "no space left")) {
				t.Errorf("got %v", err)
			}
			os.Remove(filepath.Join(root, "filler"))
			if after := snapshot(t, root); after != before {
				t.Errorf("with a full disk\n%s\nbecame\n%s", before, after)
			}

			remount(t, root, unix.MS_RDONLY)
			err = target.Publish(context.Background(), changes, false)
			if !errors.Is(err, syscall.EROFS) && (err == nil || !strings.Contains(err.Error(), "read-only")) {
				t.Errorf("got %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), root) {
				t.Errorf("%v does not name the file", err)
			}
			if after := snapshot(t, root); after != before {
				t.Errorf("read-only\n%s\nbecame\n%s", before, after)
			}
			remount(t, root, 0)

			serve(t, target, false, crashAfter...)
			if after := snapshot(t, root); !strings.Contains(after, "203.0.113.11") || strings.Contains(after, "+b.example.com:203.0.113.2") {
				t.Errorf("afterwards\n%s", after)
			}
		})
	}
}

func remount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|flags, "size=256k"); err != nil {
		t.Fatal(err)
	}
}

// fill leaves no byte on the disk.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, err = f.Write(make([]byte, 4096)); err == nil; {
		_, err = f.Write(make([]byte, 4096))
	}
}

// snapshot is every file of a folder, and what it holds, but for the versions
// that the next ones are made of.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && !strings.HasSuffix(path, ".tmp") {
			all.WriteString(path + "\n" + read(t, path) + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestACrashKeepsWhatAnEditorWrote(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "data")
	write(t, data, emptySection+zone)
	// Killed between the exchange and the look at what was replaced.
	editors, ours := filepath.Join(root, ".data.ABCDEFGHIJ.swap"), filepath.Join(root, ".data.BCDEFGHIJK.swap")
	write(t, editors, emptySection+zone+"+new.example.com:192.0.2.1\n")
	write(t, ours, sectionStart+"\n+a.example.com:203.0.113.1:300\n"+sectionEnd+"\n"+zone)
	serve(t, newTarget(t, sectionOptions(root)), true, []records.Host{}...)
	kept, err := os.ReadFile(filepath.Join(root, ".data.ABCDEFGHIJ"+keptSuffix))
	if err != nil || !strings.Contains(string(kept), "new.example.com") {
		t.Errorf("the operator's version is gone: %v", err)
	}
	if _, err := os.Stat(ours); err == nil {
		t.Error("our own version is still there")
	}
}
