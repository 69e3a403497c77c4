package clients_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machine is a computer of its own on this one: name, network, mounts and
// processes are apart, and what is written to /etc, /usr, /var, /root and /run
// is gone with it. Other folders are shared. Nothing is served there, and cron
// has nothing to do.
type machine struct {
	name string
	pid  int
	env  []string
}

// boot is the machine's first process, which ends when its input does; with
// it, all others.
const boot = `set -e
mount --make-rprivate /
mount -t proc proc /proc
for d in etc usr var root; do
	mkdir -p "$1/$d/upper" "$1/$d/work"
	mount -t overlay overlay -o "lowerdir=/$d,upperdir=$1/$d/upper,workdir=$1/$d/work" "/$d"
done
mount -t tmpfs tmpfs /run
rm -rf /etc/service /etc/dnsgate /etc/crontab /etc/cron.d
mkdir /etc/service /etc/cron.d
hostname "$2"
ip link set lo up
exec 3<&0
cat <&3 >/dev/null &
echo ready
wait $! # meanwhile the shell buries orphans
`

func newMachine(t *testing.T, name string) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		absent(t, "the superuser")
	}
	cmd := exec.Command("sh", "-c", boot, "boot", t.TempDir(), name)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS,
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
	return &machine{name: name, pid: cmd.Process.Pid, env: environment(t, "/root")}
}

// link joins two machines with an Ethernet cable.
func link(t *testing.T, a, b *machine) {
	t.Helper()
	out, err := exec.Command("ip", "link", "add", "eth0", "netns", strconv.Itoa(a.pid),
		"type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(b.pid)).CombinedOutput()
	if err != nil {
		t.Fatalf("ip link add: %v: %s", err, out)
	}
}

// sh prepares a shell script on m, run in the folder of the source tree.
func (m *machine) sh(script string) *exec.Cmd {
	cmd := exec.Command("nsenter", "-t", strconv.Itoa(m.pid), "-m", "-n", "-p", "-u", "--", "sh", "-ec", "cd \"$SRC\"\n"+script)
	cmd.Env = m.env
	return cmd
}

// do runs a script that has to succeed, with text on its standard input.
func (m *machine) do(t *testing.T, script, stdin string) string {
	t.Helper()
	cmd := m.sh(script)
	cmd.Stdin = strings.NewReader(stdin)
	r := finish(t, cmd)
	if r.status != 0 {
		t.Fatalf("%s: %s: status %d\n%s%s", m.name, script, r.status, r.stdout, r.stderr)
	}
	return r.stdout
}

// background starts a program that runs until the test ends.
func (m *machine) background(t *testing.T, script string) {
	t.Helper()
	cmd := m.sh("exec " + script)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second // nsenter's child ends only with the machine
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s said:\n%s", m.name, script, said.String())
		}
	})
}
