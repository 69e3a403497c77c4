package datafile

import (
	"context"
	"os"
	"path/filepath"
	"slices"
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
			held, err := os.Open(filepath.Join(root, "data")) // so that its number is not given to another file
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			writtenAgain(t, target, root, "data", hostWith("a.example.com", "203.0.113.3"))
			if inodeOf(t, root, "data") == before {
				t.Error("a version was written to that a power loss would have brought back")
			}
		})
	}
}

// So is a host's file, and its removal is synced again.
func TestAHostsFileThatIsNotDurable(t *testing.T) {
	for what, change := range map[string]records.Host{
		"change":  hostWith("a.example.com", "203.0.113.2"),
		"removal": hostWith("a.example.com"),
	} {
		t.Run(what, func(t *testing.T) {
			root := undurableRoot(t, zone)
			o := fileOptions(root)
			o.Write, o.Path = "hosts", "hosts"
			target := newTarget(t, o)
			serve(t, target, true, hostWith("a.example.com", "203.0.113.1"))
			durable.Step = func(step, _ string) {
				if step == durable.Renamed {
					durable.Step = nil
					unsyncable(t, filepath.Join(root, "hosts"))
				}
			}
			defer func() { durable.Step = nil }()
			if err := target.Publish(context.Background(), []records.Host{change}, false); err == nil {
				t.Fatal("published, though its folder was not synced")
			}
			var steps []string
			durable.Step = func(step, path string) { steps = append(steps, step+" "+filepath.Base(path)) }
			serve(t, target, false, change)
			if !slices.Contains(steps, "folder-synced hosts") || what == "change" && !slices.Contains(steps, "created a.example.com") {
				t.Errorf("published, but not durable: %v", steps)
			}
			steps = nil
			serve(t, target, false, change)
			if len(steps) > 0 {
				t.Errorf("what was durable was written again: %v", steps)
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
