package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func alone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("beside %s there is %v, %v", path, entries, err)
	}
}

func TestReplaceKeepsOwnerAndMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 4321, 1234); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := os.Stat(path)
	if err := WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	after, _ := os.Stat(path)
	was, is := before.Sys().(*syscall.Stat_t), after.Sys().(*syscall.Stat_t)
	if content(t, path) != "new" || after.Mode() != 0o640 || was.Uid != is.Uid || was.Gid != is.Gid {
		t.Errorf("%q, mode %v, owner %d:%d", content(t, path), after.Mode(), is.Uid, is.Gid)
	}
	if os.SameFile(before, after) {
		t.Error("it was written in place")
	}
	alone(t, path)
}

func TestReplaceFollowsLink(t *testing.T) {
	real := filepath.Join(t.TempDir(), "zone")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.WriteFile(real, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Lstat(link); info.Mode()&fs.ModeSymlink == 0 || content(t, real) != "new" {
		t.Errorf("the link is %v, its file holds %q", info.Mode(), content(t, real))
	}
	alone(t, real)
	dangling := filepath.Join(t.TempDir(), "dangling")
	if err := os.Symlink("nowhere", dangling); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(dangling, nil, 0o600); err == nil {
		t.Error("a link to nowhere was replaced")
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("half")
	f.Abort()
	if content(t, path) != "old" {
		t.Error("the file was changed")
	}
	alone(t, path)
}

func TestLongestName(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 255))
	if err := WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	alone(t, path)
}

func TestRefusesWhatIsNoFile(t *testing.T) {
	if err := WriteFile(t.TempDir(), nil, 0o600); err == nil {
		t.Error("a folder was replaced")
	}
	if err := WriteFile(filepath.Join(t.TempDir(), "gone", "data"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that does not exist: %v", err)
	}
}

func TestSteps(t *testing.T) {
	var steps []string
	Step = func(step, _ string) { steps = append(steps, step) }
	defer func() { Step = nil }()
	if err := WriteFile(filepath.Join(t.TempDir(), "data"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if want := []string{Created, Written, Synced, Renamed, FolderSynced}; !slices.Equal(steps, want) {
		t.Errorf("steps %v, want %v", steps, want)
	}
}
