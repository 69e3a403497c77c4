//go:build !client

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dnsgate/test/rig"
)

// TestMigrating runs docs/migrating.md as written: for each of its set-ups a
// machine of its own, systemd its first process, where the commands for all
// set-ups run, and then the set-up's. What a command prints must be what the
// document says that it does.
func TestMigrating(t *testing.T) {
	rig.NeedsRoot(t)
	rig.Needs(t, systemd, "systemctl", "unshare", "nsenter", "ip", "make", "tinydns", "tinydns-data", "dig", "named", "nsupdate", "ssh")
	binary := filepath.Join(t.TempDir(), "dnsgate")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	text, err := os.ReadFile("../../docs/migrating.md")
	if err != nil {
		t.Fatal(err)
	}
	chapters := readChapters(string(text))
	if len(chapters) < 7 {
		t.Fatalf("the document has %d chapters, not one for all, and one for each set-up", len(chapters))
	}
	for _, c := range chapters[1:] {
		t.Run(c.title, func(t *testing.T) {
			m := bootMachine(t, binary)
			for _, b := range append(chapters[0].blocks, c.blocks...) {
				m.run(t, b)
			}
		})
	}
}

// chapter is what stands below a heading "## ".
type chapter struct {
	title  string
	blocks []block
}

// block is a block of commands, and the one that follows with what they print.
type block struct {
	line     int
	commands string
	prints   string // "..." stands for any text
	silent   bool   // there is none: anything may be printed
}

// readChapters returns the chapters that have commands.
func readChapters(text string) (chapters []chapter) {
	var fence string // the language of the block that the line is in
	var lines []string
	for i, line := range strings.Split(text, "\n") {
		language, isFence := strings.CutPrefix(line, "```")
		switch {
		case fence != "" && isFence:
			chapters[len(chapters)-1].add(fence, lines, i)
			fence, lines = "", nil
		case fence != "":
			lines = append(lines, line)
		case isFence:
			fence = language
		case strings.HasPrefix(line, "## "):
			chapters = append(chapters, chapter{title: line[3:]})
		}
	}
	for i := 0; i < len(chapters); i++ {
		if len(chapters[i].blocks) == 0 {
			chapters = append(chapters[:i], chapters[i+1:]...)
			i--
		}
	}
	return chapters
}

func (c *chapter) add(language string, lines []string, end int) {
	text := strings.Join(lines, "\n") + "\n"
	switch language {
	case "sh":
		c.blocks = append(c.blocks, block{line: end - len(lines) + 1, commands: text, silent: true})
	case "text":
		last := &c.blocks[len(c.blocks)-1]
		last.prints, last.silent = text, false
	}
}

const systemd = "/lib/systemd/systemd"

// boot makes a machine: every folder is a copy that is thrown away, the network
// has nothing but itself, and systemd knows only the units that are put there.
const boot = `set -e
dir=$1 binary=$2
mount --make-rprivate /
mount -t tmpfs tmpfs "$dir"
cd "$dir"
mkdir root upper work
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
cd root
for d in root run tmp dev etc/systemd/system; do mount -t tmpfs tmpfs $d; done
for d in null zero full urandom random tty; do touch dev/$d; mount --bind /dev/$d dev/$d; done
ln -s /proc/self/fd dev/fd
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
install -m 755 "$binary" usr/local/bin/dnsgate
ip link set lo up
ip address add 192.0.2.53/32 dev lo
echo gate.example.com > etc/hostname
hostname gate.example.com
printf '127.0.0.1 localhost\n127.0.0.1 gate.example.com\n' > etc/hosts
mkdir -p service/tinydns/root run/units
for u in sysinit basic shutdown paths multi-user network; do printf '[Unit]\nDefaultDependencies=no\n' > run/units/$u.target; done
cp lib/systemd/system/named.service run/units/
cat > run/units/tinydns.service <<'E'
[Service]
Environment=ROOT=/service/tinydns/root IP=127.0.0.1 UID=65534 GID=65534
ExecStart=tinydns
ExecStartPost=sh -c 'until grep -q 0100007F:0035 /proc/net/udp; do sleep 0.05; done'
E
pivot_root . mnt
umount -l mnt
export container=dnsgate SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/units PATH
exec ` + systemd + ` --system --unit=multi-user.target --show-status=no --log-target=console --log-level=warning
`

// machine is a running one.
type machine struct {
	pid string
	log *bytes.Buffer // of systemd
}

func bootMachine(t *testing.T, binary string) *machine {
	t.Helper()
	group := newControlGroup(t)
	m := &machine{log: new(bytes.Buffer)}
	// The first process enters the control group, then makes it the root of a
	// namespace, so that systemd finds itself at the top.
	enter := `echo 0 > "$3/cgroup.procs" && exec unshare --cgroup sh -c "$4" boot "$1" "$2"`
	cmd := exec.Command("sh", "-c", enter, "enter", t.TempDir(), binary, group, boot)
	cmd.Stdout, cmd.Stderr = m.log, m.log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true,
	}
	if err := cmd.Start(); err != nil {
		rig.Absent(t, "a machine of its own: "+err.Error())
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cmd.Process.Kill() // and all that it started with it
		<-ended
		removeControlGroup(group)
	})
	m.pid = strconv.Itoa(cmd.Process.Pid)
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if err := m.command("systemctl", "is-active", "multi-user.target").Run(); err == nil {
			return m
		}
		select {
		case <-ended:
			t.Fatalf("the machine does not start:\n%s", m.log)
		default:
		}
		if time.Since(start) > 30*time.Second {
			t.Fatal("systemd is not ready after 30 s")
		}
	}
}

// newControlGroup makes a group (cgroups(7), version 2) for a machine.
func newControlGroup(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	at := regexp.MustCompile(`(?m)^\S+ (\S+) cgroup2 `).FindSubmatch(mounts)
	if at == nil {
		rig.Absent(t, "a cgroup2 file system")
	}
	group, err := os.MkdirTemp(string(at[1]), "dnsgate-test-")
	if err != nil {
		t.Fatal(err)
	}
	return group
}

// removeControlGroup removes a group and those below it, which are empty once
// the kernel has buried their processes.
func removeControlGroup(group string) {
	for range 100 {
		var below []string
		filepath.WalkDir(group, func(path string, d os.DirEntry, _ error) error {
			if d != nil && d.IsDir() {
				below = append(below, path)
			}
			return nil
		})
		for i := len(below) - 1; i >= 0; i-- {
			os.Remove(below[i])
		}
		if _, err := os.Stat(group); errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (m *machine) command(words ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"-t", m.pid, "-m", "-u", "-i", "-n", "-p", "-C", "--",
		"env", "-i", "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, words...)...)
	cmd.Dir = "/"
	return cmd
}

// run runs a block of commands: each must succeed, and print what the document
// says.
func (m *machine) run(t *testing.T, b block) {
	t.Helper()
	cmd := m.command("sh", "-eu")
	cmd.Stdin = strings.NewReader("cd\n" + b.commands)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	t.Logf("line %d:\n%s%s", b.line, b.commands, out.String())
	where := fmt.Sprintf("docs/migrating.md:%d", b.line)
	if err != nil {
		journal, _ := m.command("sh", "-c", "cat /var/log/dnsgate; systemctl --no-pager status tinydns dnsgate named").CombinedOutput()
		t.Fatalf("%s: %v\n%s", where, err, journal)
	}
	if !b.silent && !printed(b.prints).MatchString(out.String()) {
		t.Fatalf("%s: the document says\n%s", where, b.prints)
	}
}

// printed matches what a command prints.
func printed(text string) *regexp.Regexp {
	quoted := strings.ReplaceAll(regexp.QuoteMeta(text), `\.\.\.`, `(?s:.*)`)
	return regexp.MustCompile("^" + quoted + "$")
}
