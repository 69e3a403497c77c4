package authkeys

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/test/rig"
)

// journal collects log lines.
type journal struct{ rig.Output }

func (j *journal) count(part string) int { return strings.Count(j.String(), part) }

func openFile(t *testing.T, content string) (*File, *journal, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authorized_keys")
	must(t, os.WriteFile(path, []byte(content), 0o644))
	j := &journal{}
	f, err := Open(path, slog.New(slog.NewTextHandler(j, nil)))
	must(t, err)
	t.Cleanup(f.Close)
	return f, j, path
}

// eventually waits for what must come to be, generously.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	rig.Within(t, 10*time.Second, what, is)
}

func (f *File) has(t *testing.T, text string) bool {
	_, err := f.Lookup(mustKey(t, text), netip.MustParseAddr("192.0.2.1"), time.Now())
	if err != nil && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrChanging) {
		t.Error(err)
	}
	return err == nil
}

func TestFileFollowsChanges(t *testing.T) {
	f, j, path := openFile(t, header+keyA+"\n")
	if !f.has(t, keyA) || f.has(t, keyB) {
		t.Fatal("not the file's keys")
	}
	must(t, os.WriteFile(path, []byte(header+keyB+"\nsesame "+keyA+"\n"), 0o644))
	eventually(t, "written in place", func() bool { return f.has(t, keyB) && !f.has(t, keyA) })
	eventually(t, "the refused line is logged", func() bool { return j.count("authorized_keys:2: unknown option") > 0 })
	if n := j.count("authorized_keys:2: unknown option"); n != 1 || len(f.Problems()) != 1 {
		t.Errorf("the refused line was logged %d times; faults %v", n, f.Problems())
	}
	must(t, os.WriteFile(path+".new", []byte(header+keyA+"\n"), 0o644))
	must(t, os.Rename(path+".new", path))
	eventually(t, "replaced", func() bool { return f.has(t, keyA) && !f.has(t, keyB) })
}

func TestFileKeepsItsKeys(t *testing.T) {
	f, j, path := openFile(t, header+keyA+"\n")
	for _, harm := range []struct {
		what, logged string
		do           func() error
	}{
		{"writable by others", "may write it", func() error {
			must(t, os.WriteFile(path, []byte(header+keyB+"\n"), 0o644))
			return os.Chmod(path, 0o666)
		}},
		{"removed", "no such file", func() error { return os.Remove(path) }},
		{"a folder", "not a regular file", func() error {
			must(t, os.Remove(path))
			return os.Mkdir(path, 0o755)
		}},
		{"a link into nothing", "no such file", func() error {
			must(t, os.Remove(path))
			return os.Symlink("nowhere", path)
		}},
	} {
		must(t, os.RemoveAll(path))
		must(t, os.WriteFile(path, []byte(header+keyA+"\n"), 0o644))
		eventually(t, "good again", func() bool { return !f.failed() && f.has(t, keyA) })
		before := j.count(harm.logged)
		must(t, os.Chmod(filepath.Dir(path), 0o777)) // nothing is loaded in between
		must(t, harm.do())
		must(t, os.Chmod(filepath.Dir(path), 0o755))
		eventually(t, harm.what+" is logged", func() bool { return j.count(harm.logged) > before })
		if !f.has(t, keyA) || f.has(t, keyB) {
			t.Errorf("%s: the keys did not stay", harm.what)
		}
		if err := f.Reload(); err == nil {
			t.Errorf("%s: Reload gives no error", harm.what)
		}
	}
	must(t, os.Remove(path))
	must(t, os.WriteFile(path, []byte(header+keyB+"\n"), 0o644))
	eventually(t, "the good file is read", func() bool { return f.has(t, keyB) && !f.has(t, keyA) })
}

// TestFileRetries makes a folder above the file good again, which changes
// nothing of the file itself.
func TestFileRetries(t *testing.T) {
	f, j, path := openFile(t, header+keyA+"\n")
	must(t, os.Chmod(filepath.Dir(path), 0o777))
	must(t, os.WriteFile(path, []byte(header+keyB+"\n"), 0o644))
	eventually(t, "refused", f.failed)
	time.Sleep(2 * retryInterval)
	if n := j.count("not reloaded"); n != 1 {
		t.Errorf("the same failure was logged %d times", n)
	}
	must(t, os.Chmod(filepath.Dir(path), 0o755))
	eventually(t, "read again", func() bool { return f.has(t, keyB) && !f.has(t, keyA) })
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	if _, err := Open(filepath.Join(dir, "none"), log); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
	if _, err := Open(dir, log); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
	path := filepath.Join(dir, "keys")
	must(t, os.WriteFile(path, nil, 0o644))
	must(t, os.Chmod(path, 0o620))
	if _, err := Open(path, log); err == nil || !strings.Contains(err.Error(), "group or others may write it") {
		t.Errorf("a loose file: %v", err)
	}
	must(t, os.Chmod(path, 0o644))
	if os.Geteuid() == 0 {
		must(t, os.Chown(path, 1, 1))
		if _, err := Open(path, log); err == nil || !strings.Contains(err.Error(), "belongs to user 1") {
			t.Errorf("another's file: %v", err)
		}
		must(t, os.Chown(path, 0, 0))
	}
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	if _, err := Open(filepath.Join(dir, "loop"), log); err == nil || !strings.Contains(err.Error(), "too many symbolic links") {
		t.Errorf("a loop: %v", err)
	}
	must(t, os.Truncate(path, MaxFile+1))
	if _, err := Open(path, log); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a huge file: %v", err)
	}
}

// TestLookupWhileReloading has many goroutines look up while the file changes
// between two contents: each answer must be of one of them.
func TestLookupWhileReloading(t *testing.T) {
	f, _, path := openFile(t, header+keyA+"\n")
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				g, err := f.Lookup(mustKey(t, keyA), netip.MustParseAddr("192.0.2.1"), time.Now())
				if err != nil || len(g.Hosts) != 1 {
					t.Errorf("%+v, %v", g, err)
					return
				}
			}
		})
	}
	for i := range 50 {
		content := header + keyA + "\n"
		if i%2 == 0 {
			content = header + keyB + "\n" + content
		}
		must(t, os.WriteFile(path+".new", []byte(content), 0o644))
		must(t, os.Rename(path+".new", path))
		must(t, f.Reload())
	}
	close(stop)
	wait.Wait()
}
