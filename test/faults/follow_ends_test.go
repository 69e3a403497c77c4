package faults

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"dnsgate/test/rig"

	"golang.org/x/crypto/ssh"
)

// TestStopWithFollowers: a gateway that is told to stop does, whatever its followers
// do: one that reads, one that reads and says nothing, and one that reads nothing, with
// its window full. dnsgate follow comes back to the next one.
func TestStopWithFollowers(t *testing.T) {
	const hosts = 60_000 // some 4 MiB of lines, more than the window
	g := newGateway(t)
	g.Must(t, rig.Backup(t, hosts, "h%d."+zone), "restore", g.Config())
	reads, says, stuck := g.followKey(t), g.followKey(t), g.followKey(t)
	samePort(t, g)
	f := newFollower(t, g, t.TempDir())
	f.start(t)
	f.awaits(t, "h7."+zone, "198.18.0.7")
	follow(t, g, reads, acknowledging)
	reader := follow(t, g, says, silent)
	blocked := follow(t, g, stuck, unread)
	rig.Wait(t, "one has read all of it", func() bool { return strings.Contains(reader.said.String(), "\n# at ") })
	rig.Wait(t, "one is stuck in the whole", func() bool {
		out, _ := g.Say(g.admin, "status")
		return strings.Count(out, "\nfollower ") == 4 && strings.Count(out, "receiving the whole") == 1
	})
	time.Sleep(500 * time.Millisecond) // until the window is full
	rig.Must(t, g.Process().Signal(syscall.SIGTERM))
	ended := g.Ended()
	rig.Wait(t, "the gateway has ended", func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	if n := strings.Count(g.Log(), `why="the gateway is stopping; try again in a minute" code=911`); n != 4 {
		t.Errorf("the log says of %d of 4 streams why they ended:\n%s", n, g.Log())
	}
	blocked.conn.Close()
	g.Stop()
	g.Start(t)
	g.wants(t, g.user, "update h7."+zone+" 192.0.2.7", "good")
	f.awaits(t, "h7."+zone, "192.0.2.7")
}

func (g *gateway) followKey(t *testing.T) ssh.Signer {
	t.Helper()
	return g.Authorize(t, "--follow", "."+zone)
}

// TestFollowersTakeNoBatches: more followers than there may be batches leave room for
// every batch, and batches for further followers.
func TestFollowersTakeNoBatches(t *testing.T) {
	g := newGateway(t)
	var keys []ssh.Signer
	for range 10 {
		keys = append(keys, g.followKey(t))
	}
	g.Start(t)
	begin := func(keys ...ssh.Signer) {
		t.Helper()
		for _, key := range keys {
			for range 4 {
				s := follow(t, g, key, acknowledging)
				rig.Wait(t, "the stream begins", func() bool { return strings.Contains(s.said.String(), "\n# at ") })
			}
		}
	}
	begin(keys[:9]...) // 36, and there may be 32 batches, 4 of a key
	var replies []func() string
	for range 4 {
		conn, err := g.Dial(g.user)
		rig.Must(t, err)
		defer conn.Close()
		in, lines := batch(t, conn)
		replies = append(replies, func() string {
			fmt.Fprintf(in, "a.%s 192.0.2.1\n", zone)
			lines.Scan()
			return lines.Text()
		})
	}
	for i, reply := range replies {
		if got := reply(); !strings.HasPrefix(got, "good ") && !strings.HasPrefix(got, "nochg ") {
			t.Errorf("batch %d beside 36 followers: %q", i, got)
		}
	}
	begin(keys[9])
	for i, reply := range replies {
		if got := reply(); !strings.HasPrefix(got, "nochg ") {
			t.Errorf("batch %d beside 40 followers: %q", i, got)
		}
	}
	if out, _ := g.Say(g.admin, "status"); strings.Count(out, "\nfollower ") != 40 || strings.Contains(out, "gone") {
		t.Errorf("not all 40 are there:\n%s", out)
	}
}

// TestFollowerAloneEndsLeases: a follower that starts while the gateway is away serves
// no record whose lease has ended by its clock, and all others.
func TestFollowerAloneEndsLeases(t *testing.T) {
	needJumps(t)
	built, err := buildJumping()
	rig.Must(t, err)
	g := newGateway(t)
	leased := g.Authorize(t, "--lease=10m", ".leased."+zone)
	samePort(t, g)
	f := newFollower(t, g, t.TempDir())
	clock := &jumping{clock: f.path("clock")}
	rig.Write(t, clock.clock, "\x00\x00\x00\x00\x00\x00\x00\x00", 0o600)
	start := func() {
		f.start(t, "sh", "-c", fmt.Sprintf(`exec env DNSGATE_TEST_WALL_OFF='%s' '%s' "$@"`, clock.clock, built))
	}
	start()
	g.wants(t, leased, "update x.leased."+zone+" 192.0.2.99", "good")
	g.wants(t, g.user, "update a."+zone+" 192.0.2.1", "good")
	f.awaits(t, "x.leased."+zone, "192.0.2.99")
	f.awaits(t, "a."+zone, "192.0.2.1")
	f.kill(t)
	g.Kill()
	for _, c := range []struct {
		off   time.Duration
		wants string
	}{{-time.Hour, "192.0.2.99"}, {10*time.Minute + 30*time.Second, "192.0.2.99"}, {12 * time.Minute, ""}, {0, "192.0.2.99"}} {
		clock.jump(t, c.off)
		start()
		rig.Wait(t, "it serves", func() bool { return strings.Contains(f.process.String(), "msg=serving ") })
		if got := f.served(t, "x.leased."+zone); got != c.wants {
			t.Errorf("with the clock off by %s the leased record is %q", c.off, got)
		}
		if got := f.served(t, "a."+zone); got != "192.0.2.1" {
			t.Errorf("with the clock off by %s the other is %q", c.off, got)
		}
		f.kill(t)
	}
}
