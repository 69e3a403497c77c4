package hooks_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// silent is a server that accepts and never answers. It returns its port and
// counts the connections that are open, now and at most.
func silent(t *testing.T) (port int, open, most *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	open, most = new(atomic.Int32), new(atomic.Int32)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if n := open.Add(1); n > most.Load() {
				most.Store(n)
			}
			go func() {
				defer conn.Close()
				defer open.Add(-1)
				for buf := make([]byte, 1024); ; {
					if _, err := conn.Read(buf); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port, open, most
}

// gateway makes c push to another port.
func (c *client) gateway(t *testing.T, port int) *client {
	t.Helper()
	text, err := os.ReadFile(c.config)
	must(t, err)
	write(t, c.config, strings.Replace(string(text), "port 1\n", fmt.Sprintf("port %d\n", port), 1), 0o644)
	return c
}

func TestStaleLock(t *testing.T) {
	now := time.Now().Unix()
	dead := exec.Command("true")
	must(t, dead.Run())
	eachShell(t, func(t *testing.T, shell string) {
		for name, holder := range map[string]string{
			"dead holder":            fmt.Sprintf("%d.%d", dead.Process.Pid, now),
			"reused process number":  fmt.Sprintf("%d.%d", os.Getpid(), now-3600),
			"clock was set back":     fmt.Sprintf("%d.%d", os.Getpid(), now+3600),
			"clock was never set":    fmt.Sprintf("%d.%d", os.Getpid(), 7),
			"not a lock of ours":     "nonsense",
			"a time with its octals": fmt.Sprintf("%d.0%d", os.Getpid(), now),
		} {
			t.Run(name, func(t *testing.T) {
				c := newClient(t, shell)
				must(t, os.Mkdir(c.dir+"/state", 0o700))
				must(t, os.Symlink(holder, c.dir+"/state/lock"))
				r := c.push(t, "-v", "203.0.113.7")
				r.expect(t, 75, "sending")
				if left, _ := filepath.Glob(c.dir + "/state/lock*"); left != nil {
					t.Errorf("left behind: %q", left)
				}
			})
		}
	})
}

func TestLiveLock(t *testing.T) {
	eachShell(t, func(t *testing.T, shell string) {
		c := newClient(t, shell)
		must(t, os.Mkdir(c.dir+"/state", 0o700))
		must(t, os.Symlink(fmt.Sprintf("%d.%d", os.Getpid(), time.Now().Unix()), c.dir+"/state/lock"))
		cmd := c.command(t.Context(), "-v", "203.0.113.7")
		said := new(output)
		cmd.Stderr = said
		must(t, cmd.Start())
		time.Sleep(2500 * time.Millisecond)
		if strings.Contains(said.String(), "sending") {
			t.Error("a held lock was ignored")
		}
		must(t, os.Remove(c.dir+"/state/lock"))
		cmd.Wait()
		if !strings.Contains(said.String(), "sending") {
			t.Errorf("not sent after the lock was free: %s", said)
		}
	})
}

// TestOneAtATime starts several pushes at once against a server that keeps each
// waiting, kills two of them the hard way, and counts connections.
func TestOneAtATime(t *testing.T) {
	eachShell(t, func(t *testing.T, shell string) {
		port, _, most := silent(t)
		c := newClient(t, shell, "connect_timeout 1").gateway(t, port)
		var pushes []*exec.Cmd
		for i := range 4 {
			cmd := c.command(t.Context(), "--host", fmt.Sprintf("host%d.example.com", i), "203.0.113.7")
			must(t, cmd.Start())
			pushes = append(pushes, cmd)
		}
		for _, cmd := range pushes {
			cmd.Wait()
			if status := cmd.ProcessState.ExitCode(); status != 75 {
				t.Errorf("status %d", status)
			}
		}
		if n := most.Load(); n != 1 {
			t.Errorf("%d connections at once", n)
		}
	})
}

// TestSignals ends a push in the middle of an attempt.
func TestSignals(t *testing.T) {
	eachShell(t, func(t *testing.T, shell string) {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGKILL} {
			t.Run(signal.String(), func(t *testing.T) {
				port, open, _ := silent(t)
				c := newClient(t, shell, "connect_timeout 4").gateway(t, port)
				cmd := c.command(t.Context(), "203.0.113.7")
				must(t, cmd.Start())
				wait(t, "a connection", func() bool { return open.Load() == 1 })
				must(t, cmd.Process.Signal(signal))
				cmd.Wait()
				_, err := os.Lstat(c.dir + "/state/lock")
				if signal != syscall.SIGKILL {
					if status := cmd.ProcessState.ExitCode(); status != 75 {
						t.Errorf("status %d", status)
					}
					if err == nil {
						t.Error("the lock was left behind")
					}
				}
				r := c.push(t, "-v", "203.0.113.7")
				r.expect(t, 75, "sending")
				wait(t, "the ssh of the first push ends", func() bool { return open.Load() == 0 })
			})
		}
	})
}

// TestNewerPush checks that a push which waits for its next attempt gives way
// to a newer one for the same hosts, and to no other.
func TestNewerPush(t *testing.T) {
	eachShell(t, func(t *testing.T, shell string) {
		c := newClient(t, shell, "hosts home.example.com")
		start := func(args ...string) (*exec.Cmd, *bytes.Buffer) {
			cmd := c.command(t.Context(), append([]string{"-v", "--retry", "60"}, args...)...)
			said := new(bytes.Buffer)
			cmd.Stderr = said
			must(t, cmd.Start())
			newest := filepath.Join(c.dir, "state", "127.0.0.1:1")
			wait(t, "the push says that it is there", func() bool {
				found, _ := filepath.Glob(newest + "/*/newest?")
				return len(found) > 0
			})
			return cmd, said
		}
		old, said := start("203.0.113.7")
		other, _ := start("--host", "nas.example.com", "203.0.113.7")
		time.Sleep(time.Second)
		c.push(t, "--offline").expect(t, 75)
		old.Wait()
		if old.ProcessState.ExitCode() != 0 || !strings.Contains(said.String(), "a newer push has taken over") {
			t.Errorf("status %d: %s", old.ProcessState.ExitCode(), said)
		}
		must(t, other.Process.Signal(syscall.SIGTERM))
		other.Wait()
		if other.ProcessState.ExitCode() != 75 {
			t.Error("the push for another host gave way too")
		}
	})
}

// TestNewerPushOfOneFamily checks that a push of both families goes on with
// the one that is still its own.
func TestNewerPushOfOneFamily(t *testing.T) {
	t.Parallel()
	c := newClient(t, "dash")
	cmd := c.command(t.Context(), "-v", "--retry", "12", "203.0.113.7", "2001:db8::7")
	said := new(output)
	cmd.Stderr = said
	must(t, cmd.Start())
	wait(t, "the first attempt", func() bool { return strings.Contains(said.String(), "trying again") })
	c.push(t, "-6", "2001:db8::8").expect(t, 75)
	cmd.Wait()
	if !strings.Contains(said.String(), "sending \"update 203.0.113.7\"") || cmd.ProcessState.ExitCode() != 75 {
		t.Errorf("status %d: %s", cmd.ProcessState.ExitCode(), said)
	}
}

// TestSilentServer checks that clients without a time limit of their own are
// ended.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	needs(t, "dbclient", "plink", "dropbearkey", "puttygen")
	for _, program := range []string{"dbclient", "plink"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			port, open, _ := silent(t)
			c := newClient(t, "dash", "client "+program, "connect_timeout 1").gateway(t, port)
			convert(t, c.dir+"/id", program)
			pin(t, c, port)
			c.push(t, "-v", "203.0.113.7").expect(t, 75, "no answer in time")
			wait(t, "the client ends", func() bool { return open.Load() == 0 })
		})
	}
}

// convert makes an OpenSSH key one of another program's format, in place.
func convert(t *testing.T, key, program string) {
	t.Helper()
	other := key + ".converted"
	cmd := exec.Command("dropbearconvert", "openssh", "dropbear", key, other)
	if program == "plink" {
		cmd = exec.Command("puttygen", key, "-O", "private", "-o", other)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, out)
	}
	must(t, os.Chmod(other, 0o600))
	must(t, os.Rename(other, key))
}

// pin puts a made-up host key of c's gateway into known_hosts.
func pin(t *testing.T, c *client, port int) {
	t.Helper()
	keygen(t, c.dir+"/host")
	key, err := os.ReadFile(c.dir + "/host.pub")
	must(t, err)
	write(t, c.dir+"/known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", port, key), 0o644)
}

// TestUnpinned checks that dbclient and plink are not even started for a
// gateway that known_hosts does not have.
func TestUnpinned(t *testing.T) {
	needs(t, "dbclient", "plink", "dropbearkey", "puttygen")
	eachShell(t, func(t *testing.T, shell string) {
		for _, program := range []string{"dbclient", "plink"} {
			port, _, most := silent(t)
			c := newClient(t, shell, "client "+program).gateway(t, port)
			convert(t, c.dir+"/id", program)
			pin(t, c, port+1)
			c.push(t, "203.0.113.7").expect(t, 78, fmt.Sprintf("known_hosts: no key for [127.0.0.1]:%d", port))
			if most.Load() != 0 {
				t.Errorf("%s was started", program)
			}
		}
	})
}
