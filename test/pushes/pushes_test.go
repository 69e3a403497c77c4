package pushes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dnsgate/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// clients are the words of each.
func clients(t *testing.T) map[string][]string {
	return map[string][]string{
		"dash":    rig.Script(t, "dash"),
		"busybox": rig.Script(t, "busybox", "sh"),
		"binary":  rig.Push(t),
	}
}

func eachClient(t *testing.T, test func(t *testing.T, words []string)) {
	t.Parallel()
	for name, words := range clients(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, words)
		})
	}
}

func TestStaleLock(t *testing.T) {
	now := time.Now().Unix()
	dead := exec.Command("true")
	rig.Must(t, dead.Run())
	eachClient(t, func(t *testing.T, words []string) {
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
				c := rig.NewClient(t, words)
				rig.Must(t, os.Mkdir(c.Dir+"/state", 0o700))
				rig.Must(t, os.Symlink(holder, c.Dir+"/state/lock"))
				c.Push(t, "-v", "203.0.113.7").Expect(t, 75, "sending")
				if left, _ := filepath.Glob(c.Dir + "/state/lock*"); left != nil {
					t.Errorf("left behind: %q", left)
				}
			})
		}
	})
}

func TestLiveLock(t *testing.T) {
	eachClient(t, func(t *testing.T, words []string) {
		c := rig.NewClient(t, words)
		rig.Must(t, os.Mkdir(c.Dir+"/state", 0o700))
		lock := c.Dir + "/state/lock"
		rig.Must(t, os.Symlink(fmt.Sprintf("%d.%d", os.Getpid(), time.Now().Unix()), lock))
		said := c.Start(t, "-v", "--retry", "60", "203.0.113.7")
		time.Sleep(2500 * time.Millisecond)
		if strings.Contains(said.String(), "sending") {
			t.Error("a held lock was ignored")
		}
		rig.Must(t, os.Remove(lock))
		rig.Wait(t, "it sends when the lock is free", func() bool { return strings.Contains(said.String(), "sending") })
		if status := said.End(t, syscall.SIGTERM); status != 75 {
			t.Errorf("status %d", status)
		}
	})
}

// TestOneAtATime starts several pushes at once against a server that keeps each
// waiting, and counts connections: of one client, and of all of them.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	mixed := clients(t)
	sets := map[string][][]string{"mixed": {mixed["dash"], mixed["binary"], mixed["busybox"], mixed["dash"], mixed["binary"], mixed["busybox"]}}
	for name, words := range mixed {
		sets[name] = [][]string{words, words, words, words}
	}
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port, open := rig.Silent(t)
			c := rig.NewClient(t, set[0], "port "+port, "connect_timeout 1")
			c.Pin(t, "[127.0.0.1]:"+port, c.Read(t, "host.pub"))
			var pushes []*rig.Running
			for i, words := range set {
				pushes = append(pushes, c.As(words).Start(t, "--host", fmt.Sprintf("host%d.example.com", i), "203.0.113.7"))
			}
			for _, push := range pushes {
				if status := push.Wait(t); status != 75 {
					t.Errorf("status %d: %s", status, push)
				}
			}
			if _, most := open(); most != 1 {
				t.Errorf("%d connections at once", most)
			}
		})
	}
}

// TestSignals ends a push in the middle of an attempt.
func TestSignals(t *testing.T) {
	eachClient(t, func(t *testing.T, words []string) {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGKILL} {
			t.Run(signal.String(), func(t *testing.T) {
				port, open := rig.Silent(t)
				c := rig.NewClient(t, words, "port "+port, "connect_timeout 4")
				c.Pin(t, "[127.0.0.1]:"+port, c.Read(t, "host.pub"))
				first := c.Start(t, "--retry", "60", "203.0.113.7")
				rig.Wait(t, "a connection", func() bool { now, _ := open(); return now == 1 })
				status := first.End(t, signal)
				_, err := os.Lstat(c.Dir + "/state/lock")
				if signal != syscall.SIGKILL && (status != 75 || err == nil) {
					t.Errorf("status %d, lock: %v", status, err)
				}
				c.Push(t, "-v", "203.0.113.7").Expect(t, 75, "sending")
				rig.Wait(t, "the connections of both end", func() bool { now, _ := open(); return now == 0 })
			})
		}
	})
}

// TestNewerPush checks that a push which waits for its next attempt gives way to
// a newer one for the same hosts and family, whichever client that is, and to no
// other.
func TestNewerPush(t *testing.T) {
	t.Parallel()
	all := clients(t)
	for _, pair := range [][2]string{{"dash", "dash"}, {"busybox", "busybox"}, {"binary", "binary"}, {"binary", "dash"}, {"dash", "binary"}} {
		t.Run(pair[0]+" and "+pair[1], func(t *testing.T) {
			t.Parallel()
			c := rig.NewClient(t, all[pair[0]], "hosts home.example.com")
			newer := c.As(all[pair[1]])
			tried := func(pushes ...*rig.Running) {
				t.Helper()
				for _, p := range pushes {
					rig.Wait(t, "the first attempt", func() bool { return strings.Contains(p.String(), "trying again") })
				}
			}
			old := c.Start(t, "-v", "--retry", "60", "203.0.113.7")
			other := c.Start(t, "-v", "--retry", "60", "--host", "nas.example.com", "203.0.113.7")
			tried(old, other)
			newer.Push(t, "--dry-run", "203.0.113.8").Expect(t, 75)
			newer.Push(t, "--offline").Expect(t, 75)
			if status := old.Wait(t); status != 0 || !strings.Contains(old.String(), "a newer push has taken over") {
				t.Errorf("status %d: %s", status, old)
			}
			if other.End(t, syscall.SIGTERM) != 75 || strings.Contains(other.String(), "taken over") {
				t.Errorf("the push for another host gave way too: %s", other)
			}

			both := c.Start(t, "-v", "--retry", "60", "203.0.113.7", "2001:db8::7")
			tried(both)
			newer.Push(t, "-6", "2001:db8::8").Expect(t, 75)
			rig.Wait(t, "the push goes on with what is still its own", func() bool {
				return strings.Contains(both.String(), `sending "update home.example.com 203.0.113.7"`)
			})
			if status := both.End(t, syscall.SIGTERM); status != 75 {
				t.Errorf("status %d: %s", status, both)
			}
		})
	}
}

// TestDetach also checks that what is in the background keeps nothing of its
// caller's: Push waits for every holder of the pipes.
func TestDetach(t *testing.T) {
	rig.Needs(t, "pgrep")
	eachClient(t, func(t *testing.T, words []string) {
		g := rig.NewGateway(t, "example.test")
		g.Start(t)
		g.Configure(t, `"127.0.0.1:0"`, `"`+g.Address()+`"`)
		c := rig.NewClient(t, words, "port "+g.Port(), "hosts home.example.test")
		c.Pin(t, "[127.0.0.1]:"+g.Port(), g.HostKey(t))
		g.Allow(t, c.Read(t, "id.pub"), "--acme", "home.example.test")
		goesOn := func() bool { return exec.Command("pgrep", "-f", c.Config).Run() == nil }
		data := func() string { text, _ := os.ReadFile(g.Path("root", "dnsgate")); return string(text) }
		g.Stop()

		if r := c.Push(t, "--detach", "--retry", "60", "203.0.113.7"); r.Status != 0 || r.Stdout+r.Stderr != "" {
			t.Errorf("%+v", r)
		}
		if !goesOn() {
			t.Error("the caller had to wait until all was over")
		}
		if _, err := os.Stat(c.Dir + "/state/127.0.0.1:" + g.Port() + "/home.example.test/newest4"); err != nil {
			t.Errorf("the job is not claimed when the caller goes on: %v", err)
		}
		g.Start(t)
		rig.Wait(t, "the update arrives", func() bool { return strings.Contains(data(), ":203.0.113.7:") })
		c.Push(t, "--detach", "--acme", "add", "home.example.test", "value").Expect(t, 0)
		rig.Wait(t, "the challenge arrives", func() bool { return strings.Contains(data(), "value") })
		rig.Wait(t, "the background jobs end", func() bool { return !goesOn() })
		c.Push(t, "--detach", "203.0.113").Expect(t, 65, "is not an address")
		c.Configure(t, "colour red")
		c.Push(t, "--detach").Expect(t, 78, "unknown key")
	})
}
