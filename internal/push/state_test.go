package push

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestStaleLock(t *testing.T) {
	t.Parallel()
	now := time.Now().Unix()
	dead := exec.Command("true")
	must(t, dead.Run())
	for name, holder := range map[string]string{
		"dead holder":            fmt.Sprintf("%d.%d", dead.Process.Pid, now),
		"reused process number":  fmt.Sprintf("%d.%d", os.Getpid(), now-3600),
		"clock was set back":     fmt.Sprintf("%d.%d", os.Getpid(), now+3600),
		"clock was never set":    fmt.Sprintf("%d.%d", os.Getpid(), 7),
		"not a lock of ours":     "nonsense",
		"everybody's process":    fmt.Sprintf("-1.%d", now),
		"a time with its octals": fmt.Sprintf("%d.0%d", os.Getpid(), now),
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			must(t, os.Mkdir(m.dir+"/state", 0o700))
			must(t, os.Symlink(holder, m.dir+"/state/lock"))
			m.push(t, "-v", "203.0.113.7").expect(t, 75, "sending")
			if left, _ := filepath.Glob(m.dir + "/state/lock*"); left != nil {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestLiveLock(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	must(t, os.Mkdir(m.dir+"/state", 0o700))
	lock := m.dir + "/state/lock"
	must(t, os.Symlink(fmt.Sprintf("%d.%d", os.Getpid(), time.Now().Unix()), lock))
	said, _, end := m.start(t, "-v", "--retry", "60", "203.0.113.7")
	time.Sleep(time.Second)
	if strings.Contains(said.String(), "sending") {
		t.Error("a held lock was ignored")
	}
	must(t, os.Remove(lock))
	wait(t, "it sends when the lock is free", func() bool { return strings.Contains(said.String(), "sending") })
	if status := end(syscall.SIGTERM); status != 75 {
		t.Errorf("status %d", status)
	}
}

// TestOneAtATime starts pushes of both kinds at once against a server that
// keeps each waiting, and counts connections.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	needs(t, "dash", "ssh")
	m := newMachine(t)
	port, open := silent(t)
	m.configure(t, "port "+port, "connect_timeout 1", "host_key_alias x")
	m.pin(t, "x", m.read(t, "host.pub"))
	var all []*exec.Cmd
	for i := range 6 {
		args := []string{"--host", fmt.Sprintf("host%d.example.com", i), "203.0.113.7"}
		cmd := m.command(t.Context(), args...)
		if i%2 == 0 {
			cmd = exec.Command("dash", append([]string{script, "--config", m.config}, args...)...)
		}
		must(t, cmd.Start())
		all = append(all, cmd)
	}
	for _, cmd := range all {
		cmd.Wait()
		if status := cmd.ProcessState.ExitCode(); status != 75 {
			t.Errorf("%s: status %d", cmd, status)
		}
	}
	if _, most := open(); most != 1 {
		t.Errorf("%d connections at once", most)
	}
}

// TestSignals ends a push in the middle of an attempt.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			port, open := silent(t)
			m.configure(t, "port "+port, "connect_timeout 5", "host_key_alias x")
			m.pin(t, "x", m.read(t, "host.pub"))
			_, _, end := m.start(t, "--retry", "60", "203.0.113.7")
			wait(t, "a connection", func() bool { now, _ := open(); return now == 1 })
			status := end(signal)
			_, err := os.Lstat(m.dir + "/state/lock")
			if signal != syscall.SIGKILL && (status != 75 || err == nil) {
				t.Errorf("status %d, lock: %v", status, err)
			}
			m.configure(t, "port 1", "host_key_alias x")
			m.push(t, "-v", "203.0.113.7").expect(t, 75, "sending")
		})
	}
}

// TestNewerPush checks that a push which waits gives way to a newer one for the
// same hosts and family, be it the script's or ours, and to no other.
func TestNewerPush(t *testing.T) {
	t.Parallel()
	needs(t, "dash", "ssh")
	m := newMachine(t, "hosts home.example.com")
	first, _, _ := m.start(t, "-v", "--retry", "60", "203.0.113.7")
	other, _, endOther := m.start(t, "-v", "--retry", "60", "--host", "nas.example.com", "203.0.113.7")
	wait(t, "the first attempts", func() bool {
		return strings.Contains(first.String(), "trying again") && strings.Contains(other.String(), "trying again")
	})
	m.push(t, "--dry-run", "203.0.113.8").expect(t, 75)
	m.script(t, "--offline").expect(t, 75)
	wait(t, "it gives way to the script", func() bool { return strings.Contains(first.String(), "a newer push has taken over") })
	if endOther(syscall.SIGTERM) != 75 || strings.Contains(other.String(), "taken over") {
		t.Errorf("the push for another host gave way too: %s", other)
	}

	both, _, end := m.start(t, "-v", "--retry", "60", "203.0.113.7", "2001:db8::7")
	wait(t, "the first attempt", func() bool { return strings.Contains(both.String(), "trying again") })
	m.push(t, "-6", "2001:db8::8").expect(t, 75)
	wait(t, "the push goes on with what is still its own", func() bool {
		return strings.Contains(both.String(), `"update home.example.com 203.0.113.7"`)
	})
	end(syscall.SIGTERM)

	script := exec.Command("dash", script, "--config", m.config, "-v", "--retry", "60", "203.0.113.7")
	said := new(output)
	script.Stderr = said
	must(t, script.Start())
	defer func() { script.Process.Kill(); script.Wait() }()
	wait(t, "the script's first attempt", func() bool { return strings.Contains(said.String(), "trying again") })
	m.push(t, "203.0.113.8").expect(t, 75)
	wait(t, "the script gives way", func() bool { return strings.Contains(said.String(), "a newer push has taken over") })
}

// TestDetach also checks that what is in the background keeps nothing of its
// caller's: Output waits for every holder of the pipe.
func TestDetach(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	g := newGate(t, m)
	m.configure(t, "hosts home.example.test")
	g.stop()
	begun := time.Now()
	if r := m.push(t, "--detach", "--retry", "60", "203.0.113.7"); r.status != 0 || r.stdout+r.stderr != "" || time.Since(begun) > long {
		t.Errorf("after %v: %+v", time.Since(begun), r)
	}
	newest := m.dir + "/state/127.0.0.1:" + g.port + "/home.example.test/newest4"
	if _, err := os.Stat(newest); err != nil {
		t.Errorf("the job is not claimed when the caller goes on: %v", err)
	}
	g.serve(t)
	wait(t, "the update arrives", func() bool { return g.has(t, "203.0.113.7") })
	m.push(t, "--detach", "--acme", "add", "home.example.test", "value").expect(t, 0)
	wait(t, "the challenge arrives", func() bool { return strings.Contains(g.data(t), "value") })
	m.push(t, "--detach", "203.0.113").expect(t, 65, "is not an address")
}

func TestStateCannotBeWritten(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	write(t, m.dir+"/state", "", 0o600)
	m.push(t, "203.0.113.7").expect(t, 74, "name another folder")
	must(t, os.Remove(m.dir+"/state"))
	must(t, os.Mkdir(m.dir+"/state", 0o777))
	must(t, os.Chmod(m.dir+"/state", 0o777))
	m.push(t, "203.0.113.7").expect(t, 78, "others may write it")
}
