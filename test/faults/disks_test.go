package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dnsgate/test/rig"

	"golang.org/x/sys/unix"
)

// tmpfs mounts a small file system at path, which it makes.
func tmpfs(t *testing.T, path, size string) {
	t.Helper()
	rig.NeedsRoot(t)
	os.MkdirAll(path, 0o755)
	if err := syscall.Mount("faults", path, "tmpfs", 0, "size="+size+",mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(path, unix.MNT_DETACH) })
}

func remount(t *testing.T, path string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("faults", path, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}

// fill takes all room on path's file system until the function that it returns
// is called.
func fill(t *testing.T, path string) (free func()) {
	t.Helper()
	name := filepath.Join(path, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() { os.Remove(name) }
}

// answers is what a client was told, by host.
type answers map[string]string

// update sends the n-th address of a host of its own, and remembers a good.
func (a answers) update(g *gateway, n int) string {
	host, address := fmt.Sprintf("n%d.%s", n, zone), fmt.Sprintf("192.0.%d.%d", n>>8, n&255)
	out, _ := g.Say(g.user, "update "+host+" "+address)
	code, _, _ := strings.Cut(out, " ")
	if code == "good" || code == "nochg" {
		a[host] = address
	}
	return code
}

// check wants all of it to be stored, and served.
func (a answers) check(t *testing.T, g *gateway) {
	t.Helper()
	stored, _ := g.Say(g.user, "list")
	for host, address := range a {
		if !strings.Contains(stored, fmt.Sprintf("%s. 300 IN A %s\n", host, address)) {
			t.Errorf("%s is not stored at %s", host, address)
		}
		if got := g.Served(host); got != address {
			t.Errorf("%s is served at %q, not %s", host, got, address)
		}
	}
}

// TestStateFull: 911 as long as the disk is full, good as soon as it is not.
func TestStateFull(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gate")
	tmpfs(t, filepath.Join(dir, "state"), "256k")
	g := setUp(t, dir)
	g.Start(t)
	told := answers{}
	if code := told.update(g, 0); code != "good" {
		t.Fatal(code, g.Log())
	}
	free := fill(t, g.Path("state"))
	refused := 0
	for n := 1; refused < 20; n++ {
		switch code := told.update(g, n); {
		case code == "911":
			refused++
		case code != "good" || n > 500:
			t.Fatalf("update %d: %s", n, code)
		}
	}
	g.wants(t, g.user, "update n0."+zone+" 192.0.0.0", "nochg")
	told.check(t, g)
	free()
	if code := told.update(g, 1000); code != "good" {
		t.Errorf("after there is room again: %s\n%s", code, g.Log())
	}
	g.Kill()
	g.Start(t)
	g.Say(g.admin, "rebuild")
	told.check(t, g)
}

// TestStateVanished: what is stored in a file that no later start will find is
// not good. What there was can be saved, because it is still in memory.
func TestStateVanished(t *testing.T) {
	g := newGateway(t)
	g.Start(t)
	told := answers{}
	told.update(g, 0)
	if err := os.Rename(g.Path("state"), g.Path("away")); err != nil {
		t.Fatal(err)
	}
	g.wants(t, g.user, "update n1."+zone+" 192.0.0.1", "911")
	if out := g.wants(t, g.user, "update n0."+zone+" 192.0.0.0", "911"); strings.Contains(out, g.Path("state")) {
		t.Errorf("the reply names the folder: %q", out)
	}
	for line := range strings.Lines(g.Log()) {
		if strings.Contains(line, "code=911") && strings.Count(line, "is gone") != 1 {
			t.Errorf("the log does not say it once: %s", line)
		}
	}
	if err := os.Rename(g.Path("away"), g.Path("state")); err != nil {
		t.Fatal(err)
	}
	if code := told.update(g, 1); code != "good" {
		t.Errorf("after it is back: %s", code)
	}
	if err := os.RemoveAll(g.Path("state")); err != nil {
		t.Fatal(err)
	}
	g.wants(t, g.user, "update n2."+zone+" 192.0.0.2", "911")
	backup, exit := g.Say(g.admin, "backup")
	if exit != 0 {
		t.Fatal(backup)
	}
	g.Kill()
	g.Must(t, backup, "restore", g.Config())
	g.Start(t)
	g.Say(g.admin, "rebuild")
	told.check(t, g)
}

// TestStateReadOnly: a gateway that could store nothing does not start, and
// says what it is about.
func TestStateReadOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gate")
	state := filepath.Join(dir, "state")
	tmpfs(t, state, "1m")
	g := setUp(t, dir)
	g.Start(t)
	told := answers{}
	told.update(g, 0)
	g.Kill()
	remount(t, state, syscall.MS_RDONLY)
	if err := g.TryStart(); err == nil || !strings.Contains(err.Error(), filepath.Join(state, "dnsgate.db")) {
		t.Errorf("with a read-only state: %v", err)
	}
	remount(t, state, 0)
	g.Start(t)
	g.Say(g.admin, "rebuild")
	told.check(t, g)
}

// TestDiskDies has a real ext4 file system go away under the gateway, with all
// that it had not yet written, and come back.
func TestDiskDies(t *testing.T) {
	rig.NeedsRoot(t)
	rig.Needs(t, "mkfs.ext4")
	rig.Needs(t, "mount")
	const ioctlShutdown = 0x8004587d // EXT4_IOC_SHUTDOWN, the same for XFS and F2FS
	dir := filepath.Join(t.TempDir(), "gate")
	state := filepath.Join(dir, "state")
	image := filepath.Join(t.TempDir(), "image")
	run(t, "truncate", "-s", "64M", image)
	run(t, "mkfs.ext4", "-q", image)
	os.MkdirAll(state, 0o755)
	run(t, "mount", "-o", "loop", image, state)
	t.Cleanup(func() { exec.Command("umount", "-l", state).Run() })
	os.Remove(filepath.Join(state, "lost+found"))
	g := setUp(t, dir)
	told := answers{}
	for round := range 5 {
		g.Start(t)
		for n := range 30 {
			if code := told.update(g, 100*round+n); code != "good" {
				t.Fatal(code)
			}
		}
		done := make(chan bool)
		go func() {
			defer close(done)
			for n := 30; n < 100 && told.update(g, 100*round+n) == "good"; n++ {
			}
		}()
		time.Sleep(time.Duration(round) * 3 * time.Millisecond)
		folder, err := os.Open(state)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.IoctlSetPointerInt(int(folder.Fd()), ioctlShutdown, 2); err != nil { // no log flush
			t.Skip("shutting ext4 down:", err)
		}
		folder.Close()
		<-done
		if code := told.update(g, 100*round+99); code != "911" {
			t.Errorf("without a disk: %s", code)
		}
		g.Kill()
		run(t, "umount", state)
		run(t, "mount", "-o", "loop", image, state)
	}
	g.Start(t)
	g.Say(g.admin, "rebuild")
	told.check(t, g)
	t.Logf("%d updates acknowledged", len(told))
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// TestRoot takes the root away, in three ways, from each writer: dnserr and the
// old data.cdb meanwhile, and then all by itself what was stored.
func TestRoot(t *testing.T) {
	faults := map[string]func(t *testing.T, root string) (repair func()){
		"full": fill,
		"read-only": func(t *testing.T, root string) func() {
			remount(t, root, syscall.MS_RDONLY)
			return func() { remount(t, root, 0) }
		},
		"vanished": func(t *testing.T, root string) func() {
			inside, away := filepath.Join(root, "tinydns"), filepath.Join(root, "away")
			if err := os.Rename(inside, away); err != nil {
				t.Fatal(err)
			}
			return func() { os.Rename(away, inside) }
		},
	}
	for _, write := range []string{"file", "section", "rewrite", "hosts"} {
		for name, fault := range faults {
			t.Run(write+" "+name, func(t *testing.T) { testRoot(t, write, fault) })
		}
	}
}

func testRoot(t *testing.T, write string, fault func(*testing.T, string) func()) {
	dir := filepath.Join(t.TempDir(), "gate")
	mounted := filepath.Join(t.TempDir(), "disk")
	tmpfs(t, mounted, "256k")
	g := setUp(t, dir)
	g.writeWith(t, write)
	if err := os.Rename(g.Path("root"), g.Path("first")); err != nil {
		t.Fatal(err)
	}
	run(t, "cp", "-r", g.Path("first"), filepath.Join(mounted, "tinydns"))
	if err := os.Symlink(filepath.Join(mounted, "tinydns"), g.Path("root")); err != nil {
		t.Fatal(err)
	}
	g.Start(t)
	told := answers{}
	if code := told.update(g, 0); code != "good" {
		t.Fatal(code, g.Log())
	}
	before, err := os.ReadFile(g.Path("root", "data.cdb"))
	if err != nil {
		t.Fatal(err)
	}
	repair := fault(t, mounted)
	for n := 1; n < 4; n++ {
		if code := told.update(g, n); code != "dnserr" {
			t.Errorf("without its root: %s", code)
		}
	}
	if now, err := os.ReadFile(g.Path("root", "data.cdb")); err == nil && string(now) != string(before) {
		t.Error("data.cdb was changed meanwhile")
	}
	repair()
	for end := time.Now().Add(20 * time.Second); g.Served("n3."+zone) != "192.0.0.3"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("what was stored is not published\n%s", g.Log())
		}
	}
	for n := range 4 {
		if code := told.update(g, n); code != "nochg" {
			t.Errorf("after it is back: %s", code)
		}
	}
	told.check(t, g)
	checkLeftovers(t, g)
}

// writeWith chooses the writer.
func (g *gateway) writeWith(t *testing.T, write string) {
	t.Helper()
	data := "." + zone + ":127.0.0.1:a\n"
	switch write {
	case "file":
		return
	case "hosts":
		g.Configure(t, `"file" `, `"hosts" `)
		return
	case "section":
		data += "# start dynamic dns entries\n# end dynamic dns entries\n"
	case "rewrite":
		for n := range 4 {
			data += fmt.Sprintf("+n%d.%s:127.0.0.9:300\n", n, zone)
		}
	}
	g.Configure(t, `"file" `, `"`+write+`" `, `path = "dnsgate" `, `path = "data" `, `sources = ["data"]`, `sources = []`)
	if err := os.WriteFile(g.Path("root", "data"), []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDatabaseReplaced: somebody puts another data.cdb in the place of ours, or
// takes it away. It is soon there again, without any update.
func TestDatabaseReplaced(t *testing.T) {
	g := newGateway(t)
	g.Start(t)
	host, database := "a."+zone, g.Path("root", "data.cdb")
	g.wants(t, g.user, "update "+host+" 192.0.0.1", "good")
	old, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	g.wants(t, g.user, "update "+host+" 192.0.0.2", "good")
	if err := os.WriteFile(database+".old", old, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, disturb := range []func() error{
		func() error { return os.Rename(database+".old", database) },
		func() error { return os.WriteFile(database, old, 0o644) },
		func() error { return os.Remove(database) },
	} {
		if err := disturb(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(10 * time.Second); g.Served(host) != "192.0.0.2"; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("served is %q\n%s", g.Served(host), g.Log())
			}
		}
		g.wants(t, g.user, "update "+host+" 192.0.0.2", "nochg")
	}
}
