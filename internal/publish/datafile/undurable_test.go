package datafile

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"dnsgate/internal/durable"
	"dnsgate/internal/records"

	"golang.org/x/sys/unix"
)

// A database that was put in its place, but whose folder could not be synced,
// is written again, also where nothing changed.
func TestADatabaseThatIsNotDurable(t *testing.T) {
	root := undurableRoot(t, zone)
	target := newTarget(t, fileOptions(root))
	serve(t, target, true)
	os.Remove(filepath.Join(root, "data.cdb"))
	writtenAgain(t, target, root, "data.cdb")
}

// So is a file of the operator's.
func TestAnOperatorsFileThatIsNotDurable(t *testing.T) {
	for _, how := range []string{"section", "rewrite"} {
		t.Run(how, func(t *testing.T) {
			root := undurableRoot(t, zone+emptySection+"+a.example.com:192.0.2.1\n")
			o := sectionOptions(root)
			o.Write = how
			target := newTarget(t, o)
			serve(t, target, true, hostWith("a.example.com", "203.0.113.1"))
			serve(t, target, false, hostWith("a.example.com", "203.0.113.2"))
			before := inodeOf(t, root, "data")
			writtenAgain(t, target, root, "data", hostWith("a.example.com", "203.0.113.3"))
			if inodeOf(t, root, "data") == before {
				t.Error("a version was written to that a power loss would have brought back")
			}
		})
	}
}

func undurableRoot(t *testing.T, data string) string {
	root := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "data"), data)
	return root
}

// writtenAgain publishes hosts while the folder cannot be synced once the file name has
// been replaced, and then nothing new.
func writtenAgain(t *testing.T, target *Target, root, name string, hosts ...records.Host) {
	t.Helper()
	synced := 0
	durable.Step = func(step, path string) {
		switch {
		case filepath.Base(path) != name:
		case step == durable.Renamed && synced == 0:
			unsyncable(t, root)
		case step == durable.FolderSynced:
			synced++
		}
	}
	defer func() { durable.Step = nil }()
	if err := target.Publish(context.Background(), hosts, false); err == nil {
		t.Fatal("published, though its folder was not synced")
	}
	synced = 1
	serve(t, target, false)
	if synced != 2 {
		t.Error("published, but not durable")
	}
}

func inodeOf(t *testing.T, root, name string) uint64 {
	t.Helper()
	at, err := durable.StampAt(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return at.Ino
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
