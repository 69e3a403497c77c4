package packages_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// debian is what the machine has, beside the smallest Debian with systemd.
var debian = []string{
	"daemontools", "djbdns-utils", "iproute2", "openssh-client", "rpm", "runit", "systemd", "systemd-sysv", "tinydns",
}

const suite = "bookworm"

// machine is a Debian of its own, booted: systemd is its first process, it has no
// network but loopback, and what is written there is gone with it.
type machine struct{ pid int }

// root is the folder of a Debian that nothing was done to. It is made once and
// kept in the cache, if there is a place for one.
func root(t *testing.T) string {
	t.Helper()
	sum := sha256.Sum256([]byte(suite + strings.Join(debian, " ")))
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = "/var/cache"
	}
	folder := filepath.Join(cache, "dnsgate-test", fmt.Sprintf("%s-%x", suite, sum[:4]))
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		folder = filepath.Join(t.TempDir(), "root")
	}
	made, err := os.MkdirTemp(filepath.Dir(folder), "new-")
	must(t, err)
	defer os.RemoveAll(made)
	must(t, os.Chmod(made, 0o755))
	began := time.Now()
	out, err := exec.Command("debootstrap", "--variant=minbase", "--include="+strings.Join(debian, ","), suite, made,
		"http://deb.debian.org/debian").CombinedOutput()
	if err != nil {
		t.Fatalf("debootstrap: %v\n%s", err, out)
	}
	for _, kept := range []string{"var/cache/apt/archives", "var/lib/apt/lists"} {
		must(t, os.RemoveAll(filepath.Join(made, kept)))
	}
	t.Logf("debootstrap took %s", time.Since(began).Round(time.Second))
	if err := os.Rename(made, folder); err != nil && !errors.Is(err, os.ErrExist) { // another run may have been quicker
		t.Fatal(err)
	}
	return folder
}

// boot starts a machine on which packages, a folder, is /packages.
func boot(t *testing.T, packages string) *machine {
	t.Helper()
	cmd := exec.Command("systemd-nspawn", "--quiet", "--directory="+root(t), "--volatile=overlay", "--register=no",
		"--keep-unit", "--link-journal=no", "--private-network", "--hostname=gate", "--bind-ro="+packages+":/packages", "--boot")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	var console bytes.Buffer
	cmd.Stdout, cmd.Stderr = &console, &console
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	m := new(machine)
	t.Cleanup(func() {
		if m.pid != 0 {
			syscall.Kill(m.pid, syscall.SIGKILL) // and with the first process, all others
		} else {
			cmd.Process.Kill()
		}
		<-ended
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("a Debian cannot be booted here: systemd-nspawn: %v\n%s", err, &console)
		default:
		}
		if m.pid == 0 {
			m.pid = child(cmd.Process.Pid)
		}
		if m.pid != 0 && m.sh("systemctl is-active multi-user.target").Run() == nil {
			return m
		}
		if time.Now().After(end) {
			t.Fatalf("the machine does not come up:\n%s", &console)
		}
	}
}

// child is the first process that pid started, or 0.
func child(pid int) int {
	list, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for word := range strings.FieldsSeq(string(list)) {
		first, _ := strconv.Atoi(word)
		return first
	}
	return 0
}

// sh prepares a script on m, as root in /root.
func (m *machine) sh(script string) *exec.Cmd {
	return exec.Command("nsenter", "-t", strconv.Itoa(m.pid), "-m", "-u", "-i", "-n", "-p", "--", "env", "-i",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
		"sh", "-ec", "cd /root\n"+script)
}

// do runs a script that has to succeed, and returns all that it says.
func (m *machine) do(t *testing.T, script string) string {
	t.Helper()
	said, err := m.sh(script).CombinedOutput()
	if err != nil {
		journal, _ := m.sh("journalctl -u 'dnsgate*' -n 20 --no-pager").CombinedOutput()
		t.Fatalf("%s\n%v\n%s\n%s", script, err, said, journal)
	}
	return string(said)
}

// fails runs a script that must not succeed, and returns all that it says.
func (m *machine) fails(t *testing.T, script string) string {
	t.Helper()
	said, err := m.sh(script).CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		t.Fatalf("%s: succeeded, which it must not (%v)\n%s", script, err, said)
	}
	return string(said)
}

// await repeats a script until it succeeds.
func (m *machine) await(t *testing.T, script string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); m.sh(script).Run() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", m.do(t, script))
		}
	}
}

// files is a sorted list of all files on m outside the folders that belong to
// the operator, to dpkg, or to nobody for long.
func (m *machine) files(t *testing.T) []string {
	t.Helper()
	list := strings.Fields(m.do(t, `find / -xdev \( -path /etc -o -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \
		-o -path /root -o -path /packages -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/log -o -path /var/tmp -o -path /var/cache \) -prune -o -print`))
	slices.Sort(list)
	return list
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
