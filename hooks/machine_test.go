package hooks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// long is how long a test waits for what must come.
const long = 90 * time.Second

// machine is a computer of its own on this one: network, mounts and processes
// are apart, and what is written to /etc, /usr, /var, /root and /run is
// gone with it. Other folders are shared. All its processes end with the test.
type machine struct {
	pid    int
	syslog string // what its programs wrote to the system log
}

// boot is the machine's first process. It ends when the test closes its input.
const boot = `set -e
mount --make-rprivate /
mount -t proc proc /proc
for d in etc usr var root; do
	mkdir -p "$1/$d/upper" "$1/$d/work"
	mount -t overlay overlay -o "lowerdir=/$d,upperdir=$1/$d/upper,workdir=$1/$d/work" "/$d"
done
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /mnt
for d in null zero full urandom random tty; do touch /mnt/$d; mount --bind /dev/$d /mnt/$d; done
ln -s /proc/self/fd /mnt/fd
mount --move /mnt /dev
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
echo 1 >/proc/sys/net/ipv6/conf/default/keep_addr_on_down
ip link set lo up
busybox syslogd -n -O "$1/syslog" &
exec 3<&0
cat <&3 >/dev/null &
echo ready
wait $! # meanwhile the shell buries orphans
`

// root skips a test that needs the superuser, except in CI.
func root(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		absent(t, "the superuser")
	}
}

// needs skips a test whose programs are not there, except in CI.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			absent(t, p)
		}
	}
}

func absent(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("this test needs %s", what)
	}
	t.Skipf("this test needs %s", what)
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	root(t)
	needs(t, "busybox", "ip", "nsenter")
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", boot, "boot", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID,
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil {
		t.Fatalf("starting a machine: %v: %s", err, stderr.String())
	}
	return &machine{pid: cmd.Process.Pid, syslog: filepath.Join(dir, "syslog")}
}

// link joins two machines with an Ethernet cable, as interface name of each.
func link(t *testing.T, a, b *machine, name string) {
	t.Helper()
	out, err := exec.Command("ip", "link", "add", name, "netns", strconv.Itoa(a.pid),
		"type", "veth", "peer", "name", name, "netns", strconv.Itoa(b.pid)).CombinedOutput()
	if err != nil {
		t.Fatalf("ip link add: %v: %s", err, out)
	}
	for _, m := range []*machine{a, b} {
		m.must(t, "ip", "link", "set", name, "up")
	}
}

// result is what a command left behind.
type result struct {
	stdout, stderr string
	status         int
}

// command prepares a command on m with an environment of its own.
func (m *machine) command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	enter := []string{"-t", strconv.Itoa(m.pid), "-m", "-n", "-p", "--", "env", "-i"}
	cmd := exec.CommandContext(ctx, "nsenter", append(append(enter, env...), args...)...)
	cmd.Dir = "/"
	cmd.WaitDelay = 5 * time.Second // for who keeps stdout open behind its caller's back
	return cmd
}

// path is the environment of a command that needs no other.
var path = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}

// run runs a command on m as a person without a terminal would.
func (m *machine) run(t *testing.T, args ...string) result {
	t.Helper()
	return m.runIn(t, path, args...)
}

// runIn runs a command with exactly this environment and stdin on /dev/null.
func (m *machine) runIn(t *testing.T, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*long)
	defer cancel()
	return finish(t, m.command(ctx, env, args...))
}

// must runs a command that has to succeed, and returns its output.
func (m *machine) must(t *testing.T, args ...string) string {
	t.Helper()
	r := m.run(t, args...)
	if r.status != 0 {
		t.Fatalf("%s: status %d\n%s%s", strings.Join(args, " "), r.status, r.stdout, r.stderr)
	}
	return r.stdout
}

// background starts a command that runs until the test ends.
func (m *machine) background(t *testing.T, env []string, args ...string) *output {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := m.command(ctx, env, args...)
	out := new(output)
	cmd.Stdout, cmd.Stderr = out, out
	must(t, cmd.Start())
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return out
}

// listens tells whether a program on m waits for TCP connections to port.
func (m *machine) listens(t *testing.T, port string) bool {
	t.Helper()
	return m.must(t, "ss", "-Hltn", "sport = :"+port) != ""
}

// log returns the lines that dnsgate-push wrote to m's system log.
func (m *machine) log(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(m.syslog)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var lines strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "dnsgate-push") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// write makes a file on m.
func (m *machine) write(t *testing.T, file, content string, mode os.FileMode) {
	t.Helper()
	cmd := m.command(t.Context(), path, "sh", "-c",
		`mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"`, "write", file, fmt.Sprintf("%o", mode))
	cmd.Stdin = strings.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("writing %s: %v: %s", file, err, out)
	}
}

func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// wait waits until what holds.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(long); ; time.Sleep(100 * time.Millisecond) {
		if holds() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain: %s", long, what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
