package rig

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

// Machine is a computer of its own on this one: name, network, mounts and
// processes are apart, and what is written to /etc, /usr, /var, /root and /run
// is gone with it. Other folders are shared. Of dnsgate it has nothing that this
// machine may have, no service runs, and cron has nothing to do.
type Machine struct {
	pid    int
	syslog string // what its programs wrote to the system log
}

// boot is a machine's first process. It ends when the test closes its input, and
// with it all others.
const boot = `set -e
mount --make-rprivate /
mount -t proc proc /proc
for d in etc usr var root; do
	mkdir -p "$1/$d/upper" "$1/$d/work"
	mount -t overlay overlay -o "lowerdir=/$d,upperdir=$1/$d/upper,workdir=$1/$d/work" "/$d"
done
rm -rf /etc/dnsgate /etc/service /etc/crontab /etc/cron.d /var/lib/dnsgate* /usr/local/*bin/dnsgate* /usr/bin/dnsgate* /root/.ssh
mkdir /etc/service /etc/cron.d
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /mnt
for d in null zero full urandom random tty; do touch /mnt/$d; mount --bind /dev/$d /mnt/$d; done
ln -s /proc/self/fd /mnt/fd
for n in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${n%:*}" "/mnt/${n#*:}"; done
mkdir -m 1777 /mnt/shm
mount --move /mnt /dev
hostname "$2"
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
echo 1 >/proc/sys/net/ipv6/conf/default/keep_addr_on_down
ip link set lo up
busybox syslogd -n -O "$1/syslog" &
exec 3<&0
cat <&3 >/dev/null &
echo ready
wait $! # meanwhile the shell buries orphans
`

// NewMachine boots a machine.
func NewMachine(t testing.TB, name string) *Machine {
	t.Helper()
	NeedsRoot(t)
	Needs(t, "busybox", "ip", "nsenter")
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", boot, "boot", dir, name)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS,
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	Must(t, err)
	stdout, err := cmd.StdoutPipe()
	Must(t, err)
	Must(t, cmd.Start())
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil {
		t.Fatalf("starting a machine: %v: %s", err, stderr.String())
	}
	return &Machine{pid: cmd.Process.Pid, syslog: filepath.Join(dir, "syslog")}
}

// Link joins two machines with an Ethernet cable, as interface name of each.
func Link(t testing.TB, a, b *Machine, name string) {
	t.Helper()
	Command(t, "ip", "link", "add", name, "netns", strconv.Itoa(a.pid), "type", "veth", "peer", "name", name, "netns", strconv.Itoa(b.pid))
	for _, m := range []*Machine{a, b} {
		m.Must(t, "ip", "link", "set", name, "up")
	}
}

// Network are the words before a command that runs with this machine's network,
// and is otherwise on the machine that the tests run on.
func (m *Machine) Network() []string {
	return []string{"nsenter", "-t", strconv.Itoa(m.pid), "-n", "--"}
}

// Path is the environment of a command that needs no other.
var Path = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}

// Command prepares a command on m with an environment of its own.
func (m *Machine) Command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	enter := []string{"-t", strconv.Itoa(m.pid), "-m", "-n", "-p", "-u", "--", "env", "-i"}
	cmd := exec.CommandContext(ctx, "nsenter", append(append(enter, env...), args...)...)
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second // what nsenter started ends only with the machine
	return cmd
}

// Run runs a command on m as a person without a terminal would.
func (m *Machine) Run(t testing.TB, args ...string) Result {
	t.Helper()
	return m.RunIn(t, Path, args...)
}

// RunIn runs a command with exactly this environment and stdin on /dev/null.
func (m *Machine) RunIn(t testing.TB, env []string, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*Long)
	defer cancel()
	return Finish(t, m.Command(ctx, env, args...))
}

// Must runs a command that has to succeed, and returns its output.
func (m *Machine) Must(t testing.TB, args ...string) string {
	t.Helper()
	r := m.Run(t, args...)
	if r.Status != 0 {
		t.Fatalf("%s: status %d\n%s%s", strings.Join(args, " "), r.Status, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Start starts a command that runs until the test ends.
func (m *Machine) Start(t testing.TB, env []string, args ...string) *Running {
	t.Helper()
	cmd := m.Command(context.Background(), env, args...)

	return Start(t, cmd)
}

// Listens tells whether a program on m waits for TCP connections to port.
func (m *Machine) Listens(t testing.TB, port string) bool {
	t.Helper()
	return m.Must(t, "ss", "-Hltn", "sport = :"+port) != ""
}

// Log returns the lines of m's system log that have a word.
func (m *Machine) Log(t testing.TB, word string) string {
	t.Helper()
	text, err := os.ReadFile(m.syslog)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var lines strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, word) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// Write makes a file on m.
func (m *Machine) Write(t testing.TB, file, content string, mode os.FileMode) {
	t.Helper()
	cmd := m.Command(t.Context(), Path, "sh", "-c",
		`mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"`, "write", file, fmt.Sprintf("%o", mode))
	cmd.Stdin = strings.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("writing %s: %v: %s", file, err, out)
	}
}
