package datafile

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"dnsgate/internal/durable"

	"golang.org/x/sys/unix"
)

// A database that was put in its place, but whose folder could not be synced,
// is written again, also where nothing changed.
func TestADatabaseThatIsNotDurable(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "data"), zone)
	target := newTarget(t, fileOptions(root))
	serve(t, target, true)
	os.Remove(filepath.Join(root, "data.cdb"))
	synced := 0
	durable.Step = func(step, path string) {
		switch {
		case filepath.Base(path) != "data.cdb":
		case step == durable.Renamed && synced == 0:
			unsyncable(t, root)
		case step == durable.FolderSynced:
			synced++
		}
	}
	defer func() { durable.Step = nil }()
	if err := target.Publish(context.Background(), nil, false); err == nil {
		t.Fatal("published, though its folder was not synced")
	}
	synced = 1
	serve(t, target, false)
	if synced != 2 {
		t.Error("published, but not durable")
	}
}

// unsyncable lets fsync fail of a folder that this process has open now: its
// descriptors lead to /dev/null.
func unsyncable(t *testing.T, folder string) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range open {
		if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); to != folder {
			continue
		}
		fd, _ := strconv.Atoi(e.Name())
		if err := unix.Dup3(int(null.Fd()), fd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
}
