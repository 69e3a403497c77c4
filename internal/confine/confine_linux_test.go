package confine

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// TestMain confines itself when a test has started it for that, since
// nothing takes it back.
func TestMain(m *testing.M) {
	if folder := os.Getenv("CONFINE_FOLDER"); folder != "" {
		confined(folder, os.Getenv("CONFINE_COMMANDS") != "")
		return
	}
	os.Exit(m.Run())
}

// nodes makes device nodes, which is what the test of them must be able to do
// where nothing confines it.
const nodes = "mknod root/disk b 8 0 || mknod root/disk c 5 0"

// confined tries everything and says how it went.
func confined(folder string, commands bool) {
	allowed, refused := listen(), listen()
	applied, err := Apply(Rules{
		Read:     []string{filepath.Join(folder, "config"), filepath.Join(folder, "keys")},
		Write:    []string{filepath.Join(folder, "state"), filepath.Join(folder, "root")},
		Connect:  []uint16{portOf(allowed)},
		Commands: commands,
	}, slog.New(slog.NewTextHandler(os.Stdout, nil)))
	say("apply", err)
	agree := func(r Rules, err error) { // what Allows says is what the kernel does
		if applied.Allows(r) != (err == nil) {
			fmt.Printf("Allows(%+v) is %v, but the kernel says: %v\n", r, err != nil, err)
		}
	}
	agree(Rules{Read: []string{filepath.Join(folder, "config", "sub")}}, list(folder, "config/sub"))
	agree(Rules{Read: []string{filepath.Join(folder, "state")}}, list(folder, "state"))
	agree(Rules{Read: []string{folder}}, list(folder, "."))
	agree(Rules{Write: []string{filepath.Join(folder, "root")}}, os.WriteFile(filepath.Join(folder, "root", "f"), nil, 0o600))
	agree(Rules{Write: []string{filepath.Join(folder, "config")}}, os.WriteFile(filepath.Join(folder, "config", "f"), nil, 0o600))
	agree(Rules{Write: []string{filepath.Join(folder, "root2")}}, os.WriteFile(filepath.Join(folder, "root2", "f"), nil, 0o600))
	agree(Rules{Write: []string{filepath.Join(folder, "to-root")}}, os.WriteFile(filepath.Join(folder, "to-root", "f"), nil, 0o600))
	agree(Rules{Connect: []uint16{portOf(allowed)}}, dial(allowed))
	agree(Rules{Connect: []uint16{portOf(allowed), portOf(refused)}}, dial(refused))
	agree(Rules{Commands: true}, exec.Command("/bin/true").Run())
	say("no_new_privs", everyThread(func() error {
		if on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || on != 1 {
			return fmt.Errorf("%d, %w", on, err)
		}
		return nil
	}))
	say("core dumps", func() error {
		if on, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || on != 0 {
			return fmt.Errorf("%d, %w", on, err)
		}
		return nil
	}())
	read := func(path string) error {
		_, err := os.ReadFile(filepath.Join(folder, path))
		return err
	}
	write := func(path string) error { return os.WriteFile(filepath.Join(folder, path), []byte("x"), 0o600) }
	say("read config", read("config/sub/file"))
	say("list config", func() error { _, err := os.ReadDir(filepath.Join(folder, "config")); return err }())
	say("write config", write("config/file"))
	say("remove config", os.Remove(filepath.Join(folder, "config/sub/file")))
	say("read keys", read("keys"))
	say("read beside", read("beside"))
	say("read beside, every thread", everyThread(func() error { return read("beside") }))
	say("write beside", write("new"))
	say("write state", write("state/file"))
	say("replace state", func() error {
		if err := write("state/tmp"); err != nil {
			return err
		}
		return os.Rename(filepath.Join(folder, "state/tmp"), filepath.Join(folder, "state/file"))
	}())
	say("exchange root", func() error {
		write("root/a")
		write("root/b")
		return unix.Renameat2(unix.AT_FDCWD, filepath.Join(folder, "root/a"), unix.AT_FDCWD, filepath.Join(folder, "root/b"), unix.RENAME_EXCHANGE)
	}())
	say("folder in root", os.Mkdir(filepath.Join(folder, "root/hosts"), 0o755))
	say("connect", dial(allowed))
	say("connect elsewhere", dial(refused))
	for _, c := range []struct{ name, script string }{
		{"command", "cat /etc/passwd >root/copy 2>/dev/null && ls /usr >/dev/null"},
		{"command, file to another folder", "mkdir -p root/sub && echo x >root/sub/f && mv -n root/sub/f root/f && ln -s f root/link"},
		{"command, temporary file", "f=$(mktemp) && rm $f"},
		{"command, device node", nodes},
		{"command, write beside", "echo x >beside"},
	} {
		cmd := exec.Command("/bin/sh", "-c", c.script)
		cmd.Dir = folder
		say(c.name, cmd.Run())
	}
}

func say(what string, err error) {
	switch {
	case err == nil:
		fmt.Printf("%s: ok\n", what)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.As(err, new(*exec.ExitError)):
		fmt.Printf("%s: refused\n", what)
	default:
		fmt.Printf("%s: %v\n", what, err)
	}
}

func list(folder, name string) error {
	_, err := os.ReadDir(filepath.Join(folder, name))
	return err
}

func portOf(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }

func listen() net.Listener {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return l
}

func dial(l net.Listener) error {
	var d net.Dialer
	d.SetMultipathTCP(false)
	c, err := d.Dial("tcp", l.Addr().String())
	if err == nil {
		c.Close()
	}
	return err
}

// everyThread runs f on many threads at once.
func everyThread(f func() error) error {
	errs := make(chan error, 20)
	var all, done sync.WaitGroup
	all.Add(20)
	for range 20 {
		done.Go(func() {
			runtime.LockOSThread() // and it ends with its thread
			all.Done()
			all.Wait()
			errs <- f()
		})
	}
	done.Wait()
	close(errs)
	var first error
	for err := range errs {
		if first == nil {
			first = err
		}
	}
	return first
}

// writtenByCommands reports whether folder is below one where rebuild commands
// may write.
func writtenByCommands(folder string) bool {
	for _, open := range []string{"/tmp/", "/var/tmp/", "/run/"} {
		if strings.HasPrefix(folder, open) {
			return true
		}
	}
	return false
}

func TestConfined(t *testing.T) {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil || abi < 4 {
		t.Skipf("the kernel's Landlock has version %d: %v", abi, err)
	}
	const always = `apply: ok
no_new_privs: ok
core dumps: ok
read config: ok
list config: ok
write config: refused
remove config: refused
read keys: ok
`
	const writes = `write beside: refused
write state: ok
replace state: ok
exchange root: ok
folder in root: ok
connect: ok
`
	for name, c := range map[string]struct{ commands, want string }{
		"without commands": {"", always + "read beside: refused\nread beside, every thread: refused\n" + writes +
			"connect elsewhere: refused\ncommand: refused\ncommand, file to another folder: refused\ncommand, temporary file: refused\ncommand, device node: refused\ncommand, write beside: refused\n"},
		"with commands": {"yes", always + "read beside: ok\nread beside, every thread: ok\n" + writes +
			"connect elsewhere: ok\ncommand: ok\ncommand, file to another folder: ok\ncommand, temporary file: ok\ncommand, device node: refused\ncommand, write beside: refused\n"},
	} {
		t.Run(name, func(t *testing.T) {
			here, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			if c.commands != "" && writtenByCommands(here) {
				t.Skipf("commands may write in %s: check the source out elsewhere", here)
			}
			out := run(t, c.commands)
			log, said, _ := strings.Cut(out, "\n")
			if !strings.Contains(log, "confined to its files and ports") {
				t.Errorf("log: %s", log)
			}
			if said != c.want {
				t.Errorf("got\n%s\nwant\n%s", said, c.want)
			}
		})
	}
}

// run starts this program to be confined in a folder with all that it tries.
func run(t *testing.T, commands string) string {
	folder := t.TempDir()
	if strings.HasPrefix(folder, "/tmp/") && commands != "" {
		folder = outside(t)
	}
	for _, name := range []string{"config/sub", "state", "root", "root2"} {
		if err := os.MkdirAll(filepath.Join(folder, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("root", filepath.Join(folder, "to-root")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config/sub/file", "keys", "beside"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		free := exec.Command("/bin/sh", "-c", "("+nodes+") && rm root/disk")
		free.Dir = folder
		if out, err := free.CombinedOutput(); err != nil {
			t.Fatalf("device nodes cannot be made here by anybody: %v: %s", err, out)
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CONFINE_FOLDER="+folder, "CONFINE_COMMANDS="+commands)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	return out.String()
}

// outside makes a folder that is not below /tmp, where commands may write.
func outside(t *testing.T) string {
	folder, err := os.MkdirTemp(".", "outside-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	folder, err = filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestMissingPaths(t *testing.T) {
	if _, err := (Rules{Read: []string{"/no/such"}}).landlock(7); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing path: %v", err)
	}
}

func TestWithoutLandlock(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EPERM:      "not allowed here",
		syscall.EOPNOTSUPP: "off in this kernel",
		syscall.ENOSYS:     "the kernel has no Landlock",
	} {
		if got := withoutLandlock(errno); !strings.Contains(got, want) {
			t.Errorf("%v: %s", errno, got)
		}
	}
}
