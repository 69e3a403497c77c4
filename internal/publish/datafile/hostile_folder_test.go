package datafile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/publish"
	"dnsgate/internal/records"
)

// TestHostileHostsFolder: an account that can write to the hosts folder puts a
// link, a FIFO and a huge file where hosts' files should be. No other file
// changes, nothing is waited for, and other hosts are published.
func TestHostileHostsFolder(t *testing.T) {
	root := t.TempDir()
	o := hostsOptions(t, root)
	folder := filepath.Join(root, "hosts")
	victim := filepath.Join(t.TempDir(), "dnsgate.db")
	write(t, victim, "the store")
	if err := os.Symlink(victim, filepath.Join(folder, "link.example.com")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(folder, "fifo.example.com"), 0o666); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(folder, "huge.example.com")
	write(t, huge, "")
	if err := os.Truncate(huge, 15<<40); err != nil {
		t.Logf("a smaller one: %v", err)
		if err := os.Truncate(huge, 5<<30); err != nil {
			t.Fatal(err)
		}
	}
	target := newTarget(t, o)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := target.Publish(ctx, []records.Host{
		hostWith("link.example.com", "203.0.113.1"), hostWith("fifo.example.com", "203.0.113.2"),
		hostWith("huge.example.com", "203.0.113.3"), hostWith("fine.example.com", "203.0.113.4"),
	}, true)
	var refused publish.HostErrors
	if !errors.As(err, &refused) || len(refused) != 3 {
		t.Fatalf("got %v", err)
	}
	for name, why := range map[records.Name]string{"link.example.com": "symbolic link", "fifo.example.com": "not a regular file", "huge.example.com": "4 GiB"} {
		if !strings.Contains(refused[name].Error(), why) {
			t.Errorf("%s: %v", name, refused[name])
		}
	}
	if got := read(t, victim); got != "the store" {
		t.Errorf("the link's file has %q", got)
	}
	checkDatabase(t, root, "data", "hosts/fine.example.com")
}

// TestHostileLedger has a FIFO in the place of the list of files that dnsgate
// made: an error, and no wait.
func TestHostileLedger(t *testing.T) {
	root := t.TempDir()
	o := hostsOptions(t, root)
	if err := syscall.Mkfifo(filepath.Join(root, "hosts", ".dnsgate.hosts"), 0o666); err != nil {
		t.Fatal(err)
	}
	err := newTarget(t, o).Publish(context.Background(), []records.Host{hostWith("fine.example.com", "203.0.113.4")}, true)
	if err == nil || !strings.Contains(err.Error(), ".dnsgate.hosts: not a regular file") {
		t.Errorf("got %v", err)
	}
}

// TestHostileLock exchanges the lock file, or what its name leads to, between
// its opening and the note of who holds it: no other file is written to.
func TestHostileLock(t *testing.T) {
	folder := t.TempDir()
	victim := filepath.Join(folder, "dnsgate.db")
	write(t, victim, "the store")
	lock := filepath.Join(folder, lockName)

	file, err := os.OpenFile(lock, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := os.Rename(lock, lock+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, lock); err != nil {
		t.Fatal(err)
	}
	nameHolder(file)
	if got := read(t, victim); got != "the store" {
		t.Errorf("the victim has %q", got)
	}
	if got := read(t, lock+".away"); got == "" {
		t.Error("the lock file does not say who holds it")
	}

	for name, put := range map[string]func() error{
		"link":      func() error { return os.Symlink(victim, lock) },
		"hard link": func() error { return os.Link(victim, lock) },
		"FIFO":      func() error { return syscall.Mkfifo(lock, 0o666) },
		"long":      func() error { return os.WriteFile(lock, []byte("another's file, no lock"), 0o600) },
	} {
		os.Remove(lock)
		if err := put(); err != nil {
			t.Fatal(name, err)
		}
		l := rootLock{root: folder}
		_, err := l.hold()
		l.close()
		if (name == "link" || name == "FIFO") != (err != nil) {
			t.Errorf("%s: %v", name, err)
		}
		if got := read(t, victim); got != "the store" {
			t.Errorf("%s: the victim has %q", name, got)
		}
		if name == "long" && read(t, lock) != "another's file, no lock" {
			t.Error("a file that is no lock was written to")
		}
	}
}

// TestHugeSources: sources that say they are huge, or have one endless line,
// are refused by name, and nothing is held for them.
func TestHugeSources(t *testing.T) {
	for name, c := range map[string]struct {
		size int64
		why  string
	}{
		"over 4 GiB":   {5 << 30, "files over 4 GiB are not read"},
		"endless line": {3 << 30, "data:2: longer than 1048576 bytes"},
	} {
		for _, mode := range []string{"file", "section", "rewrite"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				root := t.TempDir()
				data := filepath.Join(root, "data")
				write(t, data, "# a line\n")
				size := c.size
				if mode != "file" && name == "endless line" {
					size = 100 << 20 // more is not edited anyway
				}
				if err := os.Truncate(data, size); err != nil {
					t.Fatal(err)
				}
				o := Options{Root: root, Write: mode, Path: "data"}
				if mode == "file" {
					o.Path, o.Sources = "dnsgate", []string{"data"}
				}
				err := newTarget(t, o).Publish(context.Background(), []records.Host{hostWith("fine.example.com", "203.0.113.4")}, true)
				if err == nil || !strings.Contains(err.Error(), c.why) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// TestManySources: finding the sources looks at each file once, not at each
// pair of them. (With a look at each pair this takes a minute.)
func TestManySources(t *testing.T) {
	root := t.TempDir()
	const n = 50_000
	for i := range n {
		name := filepath.Join(root, "many", fmt.Sprintf("h%d", i))
		if i == 0 {
			if err := os.Mkdir(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	s := sources{patterns: []string{filepath.Join(root, "many", "*"), filepath.Join(root, "many", "h*")}, except: func(string) bool { return false }}
	paths, err := s.find()
	if err != nil || len(paths) != n {
		t.Errorf("%d sources, %v", len(paths), err)
	}
}

// TestLinksOfOthers: a data file of dnsgate's that another account has made a
// link is not followed; one of its own user is, but not to the gateway's files.
func TestLinksOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving a link away needs root")
	}
	root := t.TempDir()
	own := t.TempDir()
	victim := filepath.Join(own, "victim")
	write(t, victim, "precious")
	write(t, filepath.Join(root, "data"), zone)
	link := filepath.Join(root, "dnsgate")
	publishTo := func(to string, owner int) error {
		os.Remove(link)
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(link, owner, owner); err != nil {
			t.Fatal(err)
		}
		target := newTarget(t, Options{Root: root, Write: "file", Path: "dnsgate", Sources: []string{"data"}})
		defer target.Close()
		return target.Publish(context.Background(), []records.Host{hostWith("fine.example.com", "203.0.113.4")}, true)
	}
	between := filepath.Join(t.TempDir(), "folder")
	if err := os.Symlink(own, between); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(between, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := publishTo(filepath.Join(between, "victim"), 0); err == nil || !strings.Contains(err.Error(), between+" is a symbolic link of user 65534") {
		t.Errorf("another's link to the folder: %v", err)
	}
	if err := publishTo(victim, 65534); err == nil || !strings.Contains(err.Error(), link+" is a symbolic link of user 65534") {
		t.Errorf("another's link: %v", err)
	}
	durable.Forbid(own)
	defer durable.Forbid()
	if err := publishTo(victim, 0); err == nil || !strings.Contains(err.Error(), "the gateway's own") {
		t.Errorf("a link to the gateway's files: %v", err)
	}
	if got := read(t, victim); got != "precious" {
		t.Errorf("the victim has %q", got)
	}
	durable.Forbid()
	elsewhere := filepath.Join(t.TempDir(), "dnsgate")
	write(t, elsewhere, "")
	if err := publishTo(elsewhere, 0); err != nil {
		t.Errorf("the operator's link: %v", err)
	}
}

// TestExchangedHostsFolder: an account that can write to root exchanges the hosts
// folder for a FIFO, or for a link to the gateway's own, and a temporary name for a
// FIFO: nothing is waited for, and nothing is done elsewhere.
func TestExchangedHostsFolder(t *testing.T) {
	root, own := t.TempDir(), t.TempDir()
	folder, aside := filepath.Join(root, "hosts"), filepath.Join(root, "aside")
	write(t, filepath.Join(own, "n1.example.com"), "the store")
	write(t, filepath.Join(root, "data"), zone)
	target := newTarget(t, Options{Root: root, Write: "hosts", Path: "hosts", Sources: []string{"data"}})
	var hosts []records.Host
	for i := range 40 {
		hosts = append(hosts, hostWith(fmt.Sprintf("n%d.example.com", i), "203.0.113.4"))
	}
	if err := target.Publish(context.Background(), hosts, true); err != nil {
		t.Fatal(err)
	}
	changed := make([]records.Host, len(hosts))
	for i, h := range hosts {
		changed[i] = hostWith(string(h.Name), "203.0.113.5")
	}
	refuses := func(what, why string) {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- target.Publish(context.Background(), changed, false) }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: it is waited for", what)
		}
	}
	exchange := func(make func() error) {
		t.Helper()
		if err := os.Rename(folder, aside); err != nil {
			t.Fatal(err)
		}
		if err := make(); err != nil {
			t.Fatal(err)
		}
	}
	restore := func() {
		os.Remove(folder)
		if err := os.Rename(aside, folder); err != nil {
			t.Fatal(err)
		}
	}
	exchange(func() error { return syscall.Mkfifo(folder, 0o666) })
	refuses("a FIFO for the folder", "not a directory")
	restore()

	durable.Forbid(own)
	defer durable.Forbid()
	exchange(func() error { return os.Symlink(own, folder) })
	refuses("a link to the gateway's own", "the gateway's own")
	if os.Geteuid() == 0 {
		os.Lchown(folder, 65534, 65534)
		refuses("another's link", "a symbolic link of user 65534")
	}
	changed = []records.Host{{Name: "n1.example.com"}}
	refuses("a removal", "")
	restore()
	if got := read(t, filepath.Join(own, "n1.example.com")); got != "the store" {
		t.Errorf("the gateway's own has %q", got)
	}
	if entries, _ := os.ReadDir(own); len(entries) != 1 {
		t.Errorf("the gateway's own has %v", entries)
	}
}

// TestTooMuchToEdit: a file that is edited is held in memory, and so is what a
// writer remembers; both are refused beyond a bound, though no single line is long.
func TestTooMuchToEdit(t *testing.T) {
	sparse := func(path string, size int64) {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		f.WriteString(sectionStart + "\n" + sectionEnd + "\n")
		for at := int64(1_000_000); at < size; at += 1_000_000 {
			if _, err := f.WriteAt([]byte("\n#"), at); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, how := range []string{"section", "rewrite"} {
		root := t.TempDir()
		sparse(filepath.Join(root, "data"), 200_000_000)
		target := newTarget(t, Options{Root: root, Write: how, Path: "data", Sources: []string{"data"}})
		err := target.Publish(context.Background(), []records.Host{hostWith("h.example.com", "203.0.113.4")}, true)
		if err == nil || !strings.Contains(err.Error(), "files over 128 MiB are not edited") {
			t.Errorf("%s: %v", how, err)
		}
	}
	l := ledger{path: filepath.Join(t.TempDir(), "ledger")}
	var words strings.Builder
	for i := range maxWords + 1 {
		fmt.Fprintln(&words, i)
	}
	write(t, l.path, words.String())
	if err := l.read(); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a ledger: %v", err)
	}
}

// TestLockOfOthers: an account that can write to root holds the lock, or has put
// something else in its place. The target is made all the same, its updates fail
// and say so, and once that is mended they do not.
func TestLockOfOthers(t *testing.T) {
	for name, take := range map[string]func(path string) (release func(), err error){
		"a lock": func(path string) (func(), error) {
			f, err := os.Create(path)
			if err != nil {
				return nil, err
			}
			f.WriteString("1\n")
			return func() { f.Close(); os.Remove(path) }, syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		},
		"a FIFO": func(path string) (func(), error) {
			return func() { os.Remove(path) }, syscall.Mkfifo(path, 0o666)
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, "data"), zone)
			release, err := take(filepath.Join(root, lockName))
			if err != nil {
				t.Fatal(err)
			}
			target := newTarget(t, Options{Root: root, Write: "file", Path: "dnsgate", Sources: []string{"data"}})
			hosts := []records.Host{hostWith("h.example.com", "203.0.113.4")}
			if err := target.Publish(context.Background(), hosts, true); err == nil || !strings.Contains(err.Error(), lockName) {
				t.Errorf("got %v", err)
			}
			release()
			if err := target.Publish(context.Background(), hosts, true); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestExchangedWhileTheLedgerIsReplaced: the folder of a ledger is exchanged for a
// link while its new version is made. It is replaced where it was.
func TestExchangedWhileTheLedgerIsReplaced(t *testing.T) {
	root, own := t.TempDir(), t.TempDir()
	folder, aside := filepath.Join(root, "hosts"), filepath.Join(root, "aside")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	l := ledger{path: filepath.Join(folder, ".dnsgate.hosts")}
	if err := l.add([]string{"a.example.com", "b.example.com"}); err != nil {
		t.Fatal(err)
	}
	durable.Step = func(step, _ string) {
		if step == durable.Created {
			os.Rename(folder, aside)
			os.Symlink(own, folder)
		}
	}
	defer func() { durable.Step = nil }()
	if err := l.keep(func(word string) bool { return word == "a.example.com" }); err != nil {
		t.Error(err)
	}
	if got := read(t, filepath.Join(aside, ".dnsgate.hosts")); got != "a.example.com\n" {
		t.Errorf("the ledger has %q", got)
	}
	if entries, _ := os.ReadDir(own); len(entries) != 0 {
		t.Errorf("the other folder has %v", entries)
	}
}
