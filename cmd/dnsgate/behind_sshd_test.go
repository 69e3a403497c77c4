//go:build !client

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dnsgate/test/rig"
)

// guest is a mount and network namespace of its own, with accounts of its own,
// in which sshd and the gateway run.
type guest struct {
	t   *testing.T
	dir string
	pid string // of who holds the namespaces
}

// newGuest makes one with the accounts dyn, ops and other, none of which is one
// of the real machine.
func newGuest(t *testing.T) *guest {
	if os.Geteuid() != 0 {
		t.Skip("namespaces and accounts need root")
	}
	rig.Needs(t, "sshd", "ssh", "ssh-keygen", "unshare", "nsenter", "setpriv")
	m := &guest{t: t, dir: t.TempDir()}
	for _, file := range []string{"passwd", "group", "shadow"} {
		content, err := os.ReadFile("/etc/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"dyn", "ops", "other"} {
			switch file {
			case "passwd":
				content = fmt.Appendf(content, "%s:x:%d:%[2]d::/:/bin/sh\n", name, 6001+i)
			case "group":
				content = fmt.Appendf(content, "%s:x:%d:\n", name, 6001+i)
			case "shadow":
				content = fmt.Appendf(content, "%s:*:19000::::::\n", name)
			}
		}
		m.write(file, string(content))
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(m.dir, "bin/dnsgate"), ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for dir := m.dir; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	holder := exec.Command("unshare", "-mn", "--propagation", "private", "sh", "-ec", `
		mount -t tmpfs tmpfs /run
		mkdir /run/sshd
		mount --bind "$0/bin" /usr/local/bin
		cp -a /etc "$0/etc"
		cp "$0/passwd" "$0/group" "$0/shadow" "$0/etc/"
		mount --bind "$0/etc" /etc # whole: of a file, a rename elsewhere would undo it
		ip link set lo up
		echo ready
		exec sleep 1000000`, m.dir)
	ready, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	holder.Stderr = os.Stderr
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		holder.Process.Kill()
		holder.Wait()
	})
	if n, err := ready.Read(make([]byte, 6)); n == 0 {
		t.Fatal("no namespaces: ", err)
	}
	m.pid = fmt.Sprint(holder.Process.Pid)
	return m
}

func (m *guest) write(file, content string) {
	m.t.Helper()
	path := filepath.Join(m.dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// command is one that runs in the machine.
func (m *guest) command(words ...string) *exec.Cmd {
	c := exec.Command("nsenter", append([]string{"-t", m.pid, "-m", "-n", "--wdns=" + m.dir}, words...)...)
	c.Dir = m.dir
	c.Env = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	return c
}

// start runs a program until the test ends, or the returned function is called.
func (m *guest) start(words ...string) (stop func()) {
	m.t.Helper()
	c := m.command(words...)
	log, err := os.Create(filepath.Join(m.dir, filepath.Base(words[0])+".log"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	c.Stderr = log
	if err := c.Start(); err != nil {
		m.t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if m.t.Failed() {
			text, _ := os.ReadFile(log.Name())
			m.t.Logf("%s:\n%s", log.Name(), text[max(0, len(text)-4000):])
		}
		if !stopped {
			stopped = true
			c.Process.Signal(os.Interrupt)
			c.Wait()
		}
	}
	m.t.Cleanup(stop)
	return stop
}

func (m *guest) must(words ...string) string {
	m.t.Helper()
	out, err := m.command(words...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%v: %v\n%s", words, err, out)
	}
	return string(out)
}

// run runs a program and returns what it said, and its exit status.
func (m *guest) run(in string, words ...string) (out, errs string, status int) {
	m.t.Helper()
	c := m.command(words...)
	var o, e bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(in), &o, &e
	if err := c.Run(); err != nil && c.ProcessState == nil {
		m.t.Fatal(err)
	}
	return o.String(), e.String(), c.ProcessState.ExitCode()
}

// ssh sends a command through sshd, to an account, with a key.
func (m *guest) ssh(in, account, key string, words ...string) (out, errs string, status int) {
	m.t.Helper()
	return m.run(in, append([]string{"ssh", "-F", "none", "-p", "2200", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", account + "@127.0.0.1"}, words...)...)
}

// TestBehindSSHD has the same authorized_keys file, as it is, served by OpenSSH's
// sshd for an account: everything is answered as by the gateway's own door.
func TestBehindSSHD(t *testing.T) {
	m := newGuest(t)
	m.must("dnsgate", "init", "gate")
	for _, key := range []string{"router", "laptop", "operator", "host"} {
		m.must("ssh-keygen", "-qt", "ed25519", "-N", "", "-C", key, "-f", key)
	}
	for key, words := range map[string]string{"router": "--acme home.example.com nas.example.com", "laptop": ".lab.example.com", "operator": "--admin"} {
		m.must("sh", "-ec", "dnsgate key add --config gate/dnsgate.toml "+words+" < "+key+".pub")
	}
	toml, err := os.ReadFile(filepath.Join(m.dir, "gate/dnsgate.toml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(toml), `listen = ["[::]:2222"]`, `listen = ["127.0.0.1:2222"]`, 1)
	text = strings.Replace(text, "max_hosts_per_key = 10000", "max_hosts_per_key = 20000", 1)
	m.write("gate/dnsgate.toml", strings.Replace(text, "users = []", `users = ["dyn", "ops:admin"]`, 1))
	m.write("gate/root/data", ".example.com:127.0.0.1:a\n")
	m.write("sshd_config", `Port 2200
ListenAddress 127.0.0.1
HostKey `+m.dir+`/host
AuthorizedKeysFile `+m.dir+`/gate/authorized_keys
ExposeAuthInfo yes
StrictModes no
UsePAM no
PidFile none
PasswordAuthentication no
`)
	m.start("/usr/sbin/sshd", "-D", "-e", "-f", m.dir+"/sshd_config")
	stop := m.start("dnsgate", "serve", "--config", m.dir+"/gate/dnsgate.toml")
	rig.Within(t, 10*time.Second, "the gateway serves", func() bool { _, _, status := m.run("", "dnsgate", "admin", "version"); return status == 0 })
	rig.Within(t, 10*time.Second, "sshd serves", func() bool { _, _, status := m.ssh("", "dyn", "router", "version"); return status == 0 })

	for _, c := range []struct {
		account, key, command string
		status                int
		says                  string
	}{
		{"dyn", "router", "update home.example.com 203.0.113.7", 0, "good 203.0.113.7 home.example.com\n"},
		{"dyn", "router", "update 203.0.113.7", 0, "nochg 203.0.113.7 home.example.com\ngood 203.0.113.7 nas.example.com\n"},
		{"dyn", "router", "update", 65, "badaddr "},
		{"dyn", "router", "update --dry-run 203.0.113.9", 0, "good 203.0.113.9 home.example.com\n"},
		{"dyn", "router", "update other.example.com 203.0.113.7", 77, "nohost "},
		{"dyn", "router", "acme add home.example.com token", 0, "good home.example.com\n"},
		{"dyn", "router", "list home.example.com", 0, "home.example.com. 300 IN A 203.0.113.7\n"},
		{"dyn", "router", "history home.example.com", 0, " - 203.0.113.7 SHA256:"},
		{"dyn", "router", "whoami", 0, "address      127.0.0.1\n"},
		{"dyn", "router", "offline nas.example.com", 0, "good - nas.example.com\n"},
		{"dyn", "router", "status", 64, "badcmd "},
		{"dyn", "router", "", 64, "update"},
		{"dyn", "laptop", "update a.lab.example.com 203.0.113.8", 0, "good 203.0.113.8 a.lab.example.com\n"},
		{"dyn", "laptop", "update home.example.com 203.0.113.8", 77, "nohost "},
		{"dyn", "operator", "status", 77, ""},
		{"ops", "operator", "status", 0, "store: revision "},
		{"ops", "router", "update home.example.com 203.0.113.11", 0, "good 203.0.113.11 home.example.com\n"},
		{"other", "router", "update home.example.com 203.0.113.12", 77, ""},
		{"root", "router", "update home.example.com 203.0.113.13", 0, "good 203.0.113.13 home.example.com\n"},
	} {
		out, errs, status := m.ssh("", c.account, c.key, c.command)
		if status != c.status || !strings.Contains(out, c.says) {
			t.Errorf("%s as %s: %q: status %d, %q, %q", c.key, c.account, c.command, status, out, errs)
		}
	}

	var batch, want strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&batch, "h%d.lab.example.com 203.0.113.%d\n", i, i%250+1)
		fmt.Fprintf(&want, "good 203.0.113.%d h%d.lab.example.com\n", i%250+1, i)
	}
	if out, errs, status := m.ssh(batch.String(), "dyn", "laptop", "update -"); status != 0 || out != want.String() {
		t.Errorf("a batch of 10,000: status %d, %d bytes, %q", status, len(out), errs)
	}

	t.Run("certified", func(t *testing.T) { m.certified(t) })
	t.Run("forged", func(t *testing.T) { m.forge(t) })

	stop()
	if out, errs, status := m.ssh("", "dyn", "router", "update 203.0.113.7"); status != 69 || !strings.Contains(errs, "no gateway is running here") {
		t.Errorf("without a gateway: status %d, %q, %q", status, out, errs)
	}
}

// certified comes with certificates, which name the account as well as hosts: they
// grant what they grant at the gateway's own door.
func (m *guest) certified(t *testing.T) {
	m.must("ssh-keygen", "-qt", "ed25519", "-N", "", "-C", "ca", "-f", "ca")
	m.must("sh", "-ec", "dnsgate key add --config gate/dnsgate.toml --ca .fleet.example.com < ca.pub")
	for key, words := range map[string][]string{
		"one": {"-n", "dyn,one.fleet.example.com,home.example.com", "-z", "5"}, "stray": {"-n", "dyn,home.example.com"},
		"forced": {"-n", "dyn,forced.fleet.example.com", "-O", "force-command=dnsgate allow .fleet.example.com"},
	} {
		m.must("ssh-keygen", "-qt", "ed25519", "-N", "", "-C", key, "-f", key)
		m.must(append(append([]string{"ssh-keygen", "-qs", "ca", "-I", "id of " + key}, words...), key+".pub")...)
	}
	for _, c := range []struct {
		key, command string
		status       int
		says         string
	}{
		{"one", "update 203.0.113.7", 0, "good 203.0.113.7 one.fleet.example.com\n"},
		{"one", "update two.fleet.example.com 203.0.113.7", 77, "nohost "},
		{"one", "update home.example.com 203.0.113.7", 77, "nohost "},
		{"one", "history", 0, ";serial=5;id=id%20of%20one 127.0.0.1\n"},
		{"stray", "update 203.0.113.7", 77, "for none of its principals"},
		{"forced", "update 203.0.113.7", 77, `critical option "force-command" is not supported`},
	} {
		out, errs, status := m.ssh("", "dyn", c.key, c.command)
		if status != c.status || !strings.Contains(out+errs, c.says) {
			t.Errorf("%s: %q: status %d, %q, %q", c.key, c.command, status, out, errs)
		}
	}
	m.write("gate/revoked", "id:id of one\n")
	m.must("sed", "-i", "s/^revoked_keys = .*/revoked_keys = \"revoked\"/", "gate/dnsgate.toml")
	m.must("dnsgate", "admin", "reload")
	if out, errs, status := m.ssh("", "dyn", "one", "update 203.0.113.8"); status != 77 || !strings.Contains(out+errs, "is revoked") {
		t.Errorf("a revoked one: status %d, %q, %q", status, out, errs)
	}
}

// forge has accounts say things that sshd would not have said.
func (m *guest) forge(t *testing.T) {
	as := func(account string, words ...string) (string, string, int) {
		return m.run("", append([]string{"setpriv", "--reuid=" + account, "--regid=" + account, "--clear-groups"}, words...)...)
	}
	const forged = `SSH_CONNECTION="192.0.2.9 1 192.0.2.1 22" SSH_ORIGINAL_COMMAND="$2" SSH_USER_AUTH=$3 exec dnsgate $1`
	key := strings.Join(strings.Fields(m.must("cat", "router.pub"))[:2], " ")
	m.write("auth", "publickey "+key+"\n")
	for name, c := range map[string]struct {
		account, command, sent, auth string
		status                       int
	}{
		"its own grants, any source": {"dyn", "allow forged.example.com", "update 203.0.113.1", "auth", 0},
		"admin":                      {"dyn", "admin", "status", "auth", 77},
		"another account":            {"other", "allow forged.example.com", "update 203.0.113.1", "auth", 77},
		"no key":                     {"dyn", "allow forged.example.com", "update 203.0.113.1", "", 77},
		"another file":               {"dyn", "allow forged.example.com", "update 203.0.113.1", "/etc/shadow", 77},
	} {
		if out, errs, status := as(c.account, "sh", "-c", forged, "sh", c.command, c.sent, c.auth); status != c.status {
			t.Errorf("%s: status %d, %q, %q", name, status, out, errs)
		}
	}
}
