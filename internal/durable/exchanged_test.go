package durable

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// exchange lets two names in a folder change places.
func exchange(t *testing.T, a, b string) {
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		t.Error(err)
	}
}

// foreignLink makes a link of another user's to a new folder.
func foreignLink(t *testing.T) (folder, link, victim string) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives a link to another user")
	}
	base := t.TempDir()
	folder, link, victim = filepath.Join(base, "folder"), filepath.Join(base, "link"), t.TempDir()
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(link, 4321, 4321); err != nil {
		t.Fatal(err)
	}
	return folder, link, victim
}

// meanwhile does something again and again until the test has ended.
func meanwhile(t *testing.T, do func()) {
	var doing sync.WaitGroup
	doing.Go(func() {
		for t.Context().Err() == nil { // it is canceled before the cleanups
			do()
		}
	})
	t.Cleanup(doing.Wait)
}

// Somebody who may write to the folder above exchanges the folder for a link of
// theirs, again and again. Nothing is ever made or replaced where the link leads.
func TestFolderExchangedWhileOpening(t *testing.T) {
	folder, link, victim := foreignLink(t)
	meanwhile(t, func() { exchange(t, folder, link) })
	made := 0
	for range 20000 {
		f, err := Create(filepath.Join(folder, "data"), 0o600)
		if err != nil {
			continue
		}
		made++
		if in, _ := os.Readlink(filepath.Join("/proc/self/fd", strconv.Itoa(int(f.Fd())))); strings.HasPrefix(in, victim) {
			t.Fatalf("a link of another user led it to %s", in)
		}
		f.Abort()
	}
	if made == 0 {
		t.Error("no file was made at all")
	}
}

// The folder is exchanged for a link once the new version is begun: it is
// finished in the folder that was opened.
func TestFolderExchangedBeforeRename(t *testing.T) {
	folder, link, victim := foreignLink(t)
	f, err := Create(filepath.Join(folder, "data"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, folder, link) // the folder has the link's name now
	defer f.Abort()
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(link, "data")); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(victim); len(entries) != 0 {
		t.Errorf("where the link leads there is %v", entries)
	}
}
