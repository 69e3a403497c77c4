package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dnsgate/test/rig"

	"golang.org/x/crypto/ssh"
)

// TestFollowKilled ends the gateway or the follower with SIGKILL under load, again and
// again: nothing that was good is missing at the end, at either.
func TestFollowKilled(t *testing.T) {
	g := newFollowed(t)
	f := newFollower(t, g, t.TempDir())
	f.start(t)
	stop := make(chan struct{})
	var writers sync.WaitGroup
	told := make([]answers, 4)
	sent := make([]map[string]string, len(told))
	for w := range told {
		told[w], sent[w] = answers{}, map[string]string{}
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				host, address := fmt.Sprintf("h%d.w%d.%s", n%5, w, zone), fmt.Sprintf("192.0.%d.%d", n>>8&255, n&255)
				sent[w][host] = address
				out, _ := g.Say(g.user, "update "+host+" "+address)
				if strings.HasPrefix(out, "good ") || strings.HasPrefix(out, "nochg ") {
					told[w][host] = address
				} else {
					time.Sleep(10 * time.Millisecond) // killed
				}
			}
		})
	}
	for round := range 8 {
		time.Sleep(100*time.Millisecond + rand.N(300*time.Millisecond))
		if round%2 == 0 {
			g.Kill()
			g.Start(t)
		} else {
			f.kill(t)
			f.start(t)
		}
	}
	time.Sleep(200 * time.Millisecond)
	close(stop)
	writers.Wait()

	acknowledged := 0
	g.Say(g.admin, "rebuild")
	stored, _ := g.Say(g.user, "list")
	rig.Wait(t, "both have the same", func() bool {
		return slices.Equal(lines(t, f.path("root")), lines(t, g.Path("root")))
	})
	for w := range told {
		for host, last := range sent[w] {
			got := g.Served(host)
			if got != last && got != told[w][host] || !strings.Contains(stored, host+". 300 IN A "+got+"\n") {
				t.Errorf("%s is served at %q; good was %q, sent %q", host, got, told[w][host], last)
			}
			if there := f.served(t, host); there != got {
				t.Errorf("%s is served at %q by the follower, and at %q", host, there, got)
			}
			acknowledged++
		}
	}
	if acknowledged < 4 {
		t.Errorf("only %d hosts were updated", acknowledged)
	}
	f.admin(t, "rebuild")
	here, there := rig.Read(t, g.Path("root", "data.cdb")), rig.Read(t, f.path("root", "data.cdb"))
	if here != there {
		t.Errorf("data.cdb has %d bytes, the follower's %d, and they differ", len(here), len(there))
	}
}

// TestFollowRestored: a gateway that was restored from a backup is another store. Its
// follower takes the whole of it, back to before. And a follower's backup makes a gateway.
func TestFollowRestored(t *testing.T) {
	g := newFollowed(t)
	f := newFollower(t, g, t.TempDir())
	f.start(t)
	g.wants(t, g.user, "update a."+zone+" 192.0.2.1", "good")
	backup, status := g.Say(g.admin, "backup")
	if status != 0 {
		t.Fatal(backup)
	}
	g.wants(t, g.user, "update a."+zone+" 192.0.2.2", "good")
	g.wants(t, g.user, "update b."+zone+" 192.0.2.3", "good")
	f.awaits(t, "b."+zone, "192.0.2.3")

	g.Kill()
	rig.Must(t, os.RemoveAll(g.Path("state")))
	g.Must(t, backup, "restore", g.Config())
	g.Start(t)
	f.awaits(t, "a."+zone, "192.0.2.1")
	f.awaits(t, "b."+zone, "")
	if n := strings.Count(f.process.String(), "from_the_beginning=true"); n != 2 {
		t.Errorf("it began %d times with the whole, not twice:\n%s", n, f.process)
	}

	g.wants(t, g.user, "update c."+zone+" 192.0.2.4", "good")
	f.awaits(t, "c."+zone, "192.0.2.4")
	g.Kill() // and it is lost
	heir := newGateway(t)
	heir.Must(t, f.admin(t, "backup"), "restore", heir.Config())
	heir.Start(t)
	heir.wants(t, heir.user, "update c."+zone+" 192.0.2.1", "good")
	history, _ := heir.Say(heir.user, "history c."+zone)
	if n := strings.Count(history, "\n"); n != 2 || !strings.Contains(history, " - 192.0.2.4 ") {
		t.Errorf("its history of c has %d lines:\n%s", n, history)
	}
	heir.wants(t, heir.user, "update a."+zone+" 192.0.2.1", "nochg")
}

// TestFollowerFull: a follower whose disk is full serves what it has, and takes what it
// missed once there is room.
func TestFollowerFull(t *testing.T) {
	g := newFollowed(t)
	dir := t.TempDir()
	tmpfs(t, filepath.Join(dir, "state"), "256k")
	f := newFollower(t, g, dir)
	f.start(t)
	g.wants(t, g.user, "update n0."+zone+" 192.0.2.1", "good")
	f.awaits(t, "n0."+zone, "192.0.2.1")
	free := fill(t, f.path("state"))
	told := answers{}
	for n := 1; !strings.Contains(f.process.String(), "no space left"); n++ {
		if code := told.update(g, n); code != "good" {
			t.Fatalf("update %d at the gateway: %s", n, code)
		}
		if n > 1000 {
			t.Fatalf("it stores all of it:\n%s", f.process)
		}
	}
	if got := f.served(t, "n0."+zone); got != "192.0.2.1" {
		t.Errorf("while its disk is full it serves %q", got)
	}
	free()
	rig.Wait(t, "it has what it missed", func() bool {
		return slices.Equal(lines(t, f.path("root")), lines(t, g.Path("root")))
	})
}

// TestFollowClocks has the wall clock of either end jump. What changes is followed all
// the same; a lease ends by the follower's clock.
func TestFollowClocks(t *testing.T) {
	c := newJumping(t)
	leased := c.Authorize(t, "--lease=10m", ".leased."+zone)
	c.start(t)
	c.Configure(t, `"127.0.0.1:0"`, `"`+c.Address()+`"`)
	f := newFollower(t, c.gateway, t.TempDir())
	clock := &jumping{clock: filepath.Join(t.TempDir(), "clock")}
	rig.Must(t, os.WriteFile(clock.clock, make([]byte, 8), 0o600))
	built, err := buildJumping()
	rig.Must(t, err)
	f.start(t, "sh", "-c", fmt.Sprintf(`exec env DNSGATE_TEST_WALL_OFF='%s' '%s' "$@"`, clock.clock, built))
	n := 0
	follows := func() {
		t.Helper()
		n++
		address := fmt.Sprintf("192.0.2.%d", n)
		c.wants(t, c.user, "update a."+zone+" "+address, "good")
		f.awaits(t, "a."+zone, address)
	}
	c.wants(t, leased, "update x.leased."+zone+" 192.0.2.99", "good")
	follows()
	f.awaits(t, "x.leased."+zone, "192.0.2.99")
	for _, off := range []time.Duration{-time.Hour, time.Hour, 0} {
		c.jump(t, off)
		follows()
	}
	clock.jump(t, -time.Hour)
	follows()
	clock.jump(t, time.Hour)
	f.awaits(t, "x.leased."+zone, "")
	follows()
	clock.jump(t, 0)
	follows()
	c.Say(leased, "update x.leased."+zone+" 192.0.2.99") // the lease is renewed
	f.awaits(t, "x.leased."+zone, "192.0.2.99")
}

// TestRequireStopped: with require = 1 and a follower that is stopped, nothing is good,
// whatever it is; what was stored is good once the follower goes on.
func TestRequireStopped(t *testing.T) {
	g := newFollowed(t, "require = 0 ", "require = 1 ", `timeout = "5s"              # from`, `timeout = "60s"             # from`)
	acme := g.Authorize(t, "--acme", "acme."+zone)
	f := newFollower(t, g, t.TempDir())
	f.start(t)
	g.eventually(t, g.user, "update a."+zone+" 192.0.2.1", "nochg")
	g.wants(t, g.user, "update b."+zone+" 192.0.2.1", "good")
	rig.Must(t, f.process.Process.Signal(syscall.SIGSTOP))
	commands := []struct {
		key     ssh.Signer
		command string
	}{
		{g.user, "update a." + zone + " 192.0.2.2"},
		{g.user, "update a." + zone + " 192.0.2.2"}, // no change
		{g.user, "offline b." + zone},
		{acme, "acme add acme." + zone + " token"},
		{acme, "acme del acme." + zone + " token"},
	}
	began := time.Now()
	for _, c := range commands { // the first waits until the follower counts as live no more
		out, status := g.Say(c.key, c.command)
		if out != "dnserr stored, and published here; 0 of 1 followers have it\n" || status != 75 {
			t.Errorf("%s: %q, status %d", c.command, out, status)
		}
	}
	if took := time.Since(began); took > 60*time.Second {
		t.Errorf("without a live follower, %d answers took %v", len(commands), took)
	}
	if got := g.Served("a." + zone); got != "192.0.2.2" {
		t.Errorf("the gateway itself serves %q", got)
	}
	rig.Must(t, f.process.Process.Signal(syscall.SIGCONT))
	g.eventually(t, g.user, "update a."+zone+" 192.0.2.2", "nochg")
	g.eventually(t, g.user, "offline b."+zone, "nochg")
	g.eventually(t, acme, "acme add acme."+zone+" token", "good")
}

// TestUnreadFollowers: followers that do not read cost little, whatever the store's
// size, and are cut off; two are given the whole at once, others wait in line. One that
// reads stays, longer than max_connection.
func TestUnreadFollowers(t *testing.T) {
	const hosts = 100_000
	t.Setenv("GOGC", "20")
	g := newGateway(t, `idle_timeout = "30s"`, `idle_timeout = "8s"`, `max_connection = "10m"`, `max_connection = "4s"`)
	g.Must(t, rig.Backup(t, hosts, "h%d."+zone), "restore", g.Config())
	g.Start(t)
	g.eventually(t, g.user, "update a."+zone+" 192.0.2.1", "good")
	first, second := g.followKey(t), g.followKey(t)
	g.eventually(t, second, "whoami", "key")
	before := g.memory(t, "VmRSS")
	began := time.Now()
	for range 4 {
		follow(t, g, first, unread)
	}
	rig.Wait(t, "four are there", func() bool { out, _ := g.Say(g.admin, "status"); return strings.Count(out, "\nfollower ") == 4 })
	reader := follow(t, g, second, acknowledging)
	rig.Wait(t, "the fifth is greeted", func() bool { return strings.HasPrefix(reader.said.String(), "# dnsgate follow 1 ") })
	time.Sleep(time.Second)
	if strings.Contains(reader.said.String(), "# whole") && time.Since(began) < 8*time.Second {
		t.Error("a third whole was begun beside two that nobody reads")
	}
	if more := g.memory(t, "VmRSS") - before; more > 4*16<<10 {
		t.Errorf("four followers that do not read take %d KiB", more)
	}
	rig.Wait(t, "it is its turn", func() bool { return strings.Count(reader.said.String(), "\n") > hosts })
	rig.Wait(t, "the log says why", func() bool {
		return strings.Count(g.Log(), `why="the follower did not read for 8s"`) == 4
	})
	g.eventually(t, g.user, "update a."+zone+" 192.0.2.2", "good")
	rig.Wait(t, "it goes on behind max_connection", func() bool { return strings.Contains(reader.said.String(), " 192.0.2.2 ") })
}
