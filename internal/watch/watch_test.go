package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dnsgate/internal/durable"

	"github.com/fsnotify/fsnotify"
)

// long is how long a test waits for what must come, and quiet how long it
// waits for what must not.
const (
	long  = 10 * time.Second
	quiet = 3 * pollInterval
)

func expect(t *testing.T, w *Watcher, what string) {
	t.Helper()
	select {
	case <-w.Changed():
	case <-time.After(long):
		t.Fatalf("%s: not told", what)
	}
}

func expectNothing(t *testing.T, w *Watcher, what string) {
	t.Helper()
	select {
	case <-w.Changed():
		t.Fatalf("%s: told a change", what)
	case <-time.After(quiet):
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bothWays runs a test with notifications alone, and by polling alone.
func bothWays(t *testing.T, test func(t *testing.T, start func(...string) *Watcher)) {
	t.Run("notified", func(t *testing.T) {
		t.Parallel()
		test(t, func(patterns ...string) *Watcher {
			w := build(patterns)
			w.poll = time.Hour
			w.notify = notify(t)
			w.start()
			t.Cleanup(w.Close)
			return w
		})
	})
	t.Run("polled", func(t *testing.T) {
		t.Parallel()
		test(t, func(patterns ...string) *Watcher {
			w := build(patterns)
			w.start()
			t.Cleanup(w.Close)
			return w
		})
	})
}

func notify(t *testing.T) *fsnotify.Watcher {
	t.Helper()
	n, err := fsnotify.NewWatcher()
	must(t, err)
	return n
}

func TestFile(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(...string) *Watcher) {
		dir := t.TempDir()
		file, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
		write(t, file, "one")
		w := start(file)
		expectNothing(t, w, "no change")

		write(t, file, "two")
		expect(t, w, "written in place with the same size")
		write(t, other, "three")
		expectNothing(t, w, "another file in the folder")
		must(t, os.Rename(other, file))
		expect(t, w, "replaced")
		must(t, os.Chmod(file, 0o600))
		expect(t, w, "mode")
		must(t, os.Remove(file))
		expect(t, w, "removed")
		write(t, file, "four")
		expect(t, w, "created")
		expectNothing(t, w, "after all that")
	})
}

func TestGlob(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(...string) *Watcher) {
		dir := t.TempDir()
		w := start(filepath.Join(dir, "*", "zone.*"), filepath.Join(dir, "absent"))
		must(t, os.Mkdir(filepath.Join(dir, "a"), 0o755))
		write(t, filepath.Join(dir, "a", "zone.x"), "one")
		expect(t, w, "a file in a new folder")
		write(t, filepath.Join(dir, "a", "zone.y"), "one")
		expect(t, w, "a second file")
		write(t, filepath.Join(dir, "a", "other"), "one")
		expectNothing(t, w, "a file that does not match")
		must(t, os.RemoveAll(filepath.Join(dir, "a")))
		expect(t, w, "the folder is gone")
	})
}

// TestFolderComesBack needs both ways at once: who is gone cannot notify.
func TestFolderComesBack(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, aside := filepath.Join(top, "up", "dir"), filepath.Join(top, "aside")
	file := filepath.Join(dir, "file")
	must(t, os.MkdirAll(dir, 0o755))
	write(t, file, "one")
	w := New(file, filepath.Join(top, "absent", "file"))
	defer w.Close()
	for range 3 {
		must(t, os.RemoveAll(dir))
		expect(t, w, "folder removed")
		must(t, os.Mkdir(dir, 0o755))
		write(t, file, "two")
		expect(t, w, "folder made again")
		write(t, file, "three")
		expect(t, w, "file in the new folder changed")
	}
	must(t, os.Rename(filepath.Dir(dir), aside))
	expect(t, w, "a folder above moved away")
	must(t, os.MkdirAll(dir, 0o755))
	write(t, file, "four")
	expect(t, w, "and another in its place")
	write(t, file, "five")
	expect(t, w, "file in that one changed")
	write(t, filepath.Join(aside, "dir", "file"), "six")
	expectNothing(t, w, "the file moved away")
}

// TestFolderIsWatchedAgain exchanges the folder, or one above it, before
// anybody looks: the new one must notify, even if it has the old one's inode.
func TestFolderIsWatchedAgain(t *testing.T) {
	for name, exchange := range map[string]func(top, dir string){
		"removed": func(top, dir string) { must(t, os.RemoveAll(dir)) },
		"moved":   func(top, dir string) { must(t, os.Rename(dir, filepath.Join(top, "aside"))) },
		"above": func(top, dir string) {
			must(t, os.Rename(filepath.Dir(dir), filepath.Join(top, "aside")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			dir := filepath.Join(top, "up", "dir")
			must(t, os.MkdirAll(dir, 0o755))
			w := build([]string{filepath.Join(dir, "file")})
			w.notify = notify(t)
			defer w.notify.Close()
			w.look()
			exchange(top, dir)
			must(t, os.MkdirAll(dir, 0o755))
			for drained := false; !drained; {
				select {
				case event := <-w.notify.Events:
					w.concerns(event)
				case <-time.After(durable.StampStep):
					drained = true
				}
			}
			w.look()
			write(t, filepath.Join(dir, "file"), "one")
			select {
			case <-w.notify.Events:
			case <-time.After(long):
				t.Error("the new folder does not notify")
			}
		})
	}
}

// TestUnsettled looks at a file so soon after a write that a second one might
// get the same time stamps.
func TestUnsettled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	w := build([]string{file})
	write(t, file, "one")
	soon := time.Now()
	if p := w.look(); !p.unsettled && time.Since(soon) < durable.StampStep/2 {
		t.Error("settled at once")
	}
	time.Sleep(2 * durable.StampStep)
	if p := w.look(); p.unsettled {
		t.Error("never settles")
	}
}

func TestSymbolicLinks(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	for _, dir := range []string{"v1", "v2"} {
		must(t, os.Mkdir(filepath.Join(top, dir), 0o755))
		write(t, filepath.Join(top, dir, "file"), dir)
	}
	must(t, os.Symlink("v1", filepath.Join(top, "current")))
	must(t, os.Symlink("current/file", filepath.Join(top, "link")))
	through := New(filepath.Join(top, "current", "file"))
	defer through.Close()
	link := New(filepath.Join(top, "link"))
	defer link.Close()

	write(t, filepath.Join(top, "v1", "file"), "changed")
	expect(t, through, "the file behind a folder's link")
	expect(t, link, "the file behind a link")
	must(t, os.Symlink("v2", filepath.Join(top, "next")))
	must(t, os.Rename(filepath.Join(top, "next"), filepath.Join(top, "current")))
	expect(t, through, "the folder's link turned")
	expect(t, link, "the link's folder turned")
	write(t, filepath.Join(top, "v2", "file"), "again")
	expect(t, through, "the file behind the turned link")
	expect(t, link, "the file behind both links")
}

// TestLastChangeIsTold rewrites a file with content of the same size as fast
// as it can: whoever reads it after the last notification must find the last
// content.
func TestLastChangeIsTold(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(...string) *Watcher) {
		file := filepath.Join(t.TempDir(), "file")
		write(t, file, "0000")
		w := start(file)
		for round := range 5 {
			last := ""
			for i := range 200 * (round + 1) {
				last = fmt.Sprintf("%04d", round*1000+i)
				write(t, file, last)
			}
			for deadline := time.After(long); ; {
				select {
				case <-w.Changed():
				case <-deadline:
					t.Fatalf("round %d: the last content was not told", round)
				}
				if got, err := os.ReadFile(file); err != nil || string(got) == last {
					break
				}
			}
		}
	})
}

func TestLiteral(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"[a]", "a*", "a?b", `a\b`, "plain"} {
		path := filepath.Join(dir, name)
		write(t, path, "")
		if got, err := filepath.Glob(Literal(path)); err != nil || len(got) != 1 || got[0] != path {
			t.Errorf("%s: matches %q, %v", path, got, err)
		}
	}
}
