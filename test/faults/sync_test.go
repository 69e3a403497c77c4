package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dnsgate/test/rig"
)

// inject has strace make system calls of the running gateway fail, until the
// function that it returns is called.
func inject(t *testing.T, g *gateway, what string) (stop func()) {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "inject")
	call, _, _ := strings.Cut(what, ":")
	c := exec.Command("strace", "-f", "-q", "-o", trace, "-p", fmt.Sprint(g.Process().Pid),
		"-e", "trace="+call, "-e", "inject="+what)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		c.Process.Signal(os.Interrupt)
		c.Wait()
	}
	t.Cleanup(stop)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.Process().Pid))
		if !strings.Contains(string(status), "TracerPid:\t0\n") {
			time.Sleep(100 * time.Millisecond) // its other threads
			return stop
		}
		if time.Now().After(end) {
			t.Fatal("strace does not attach")
		}
	}
}

// TestFailedSync has one fsync of the store fail: the one of the data, or the
// one of the page that makes it count. Neither that update nor a later one is
// good, nor is anything nochg, because nobody knows what the disk holds. A
// restart brings back all that was answered.
func TestFailedSync(t *testing.T) {
	rig.Needs(t, "strace")
	for _, when := range []string{"1+", "2+"} {
		t.Run(when, func(t *testing.T) {
			g := newGateway(t)
			g.Start(t)
			g.wants(t, g.user, "update a."+zone+" 192.0.0.1", "good")
			stop := inject(t, g, "fdatasync:error=EIO:when="+when)
			out := ""
			last := 1
			for !strings.HasPrefix(out, "911") { // threads are counted one by one
				last++
				if out, _ = g.Say(g.user, fmt.Sprintf("update a.%s 192.0.0.%d", zone, last)); last > 20 {
					t.Fatal("no fsync fails")
				}
			}
			stop()
			t.Log(out)
			for _, command := range []string{
				fmt.Sprintf("update a.%s 192.0.0.%d", zone, last-1), // as it was when last answered
				fmt.Sprintf("update a.%s 192.0.0.%d", zone, last),
				"update b." + zone + " 192.0.0.9",
				"offline a." + zone,
				"offline never." + zone,
			} {
				g.wants(t, g.user, command, "911")
			}
			if out, exit := g.Say(g.admin, "backup"); exit != 0 || !strings.Contains(out, "# end: ") {
				t.Errorf("no backup can be taken: %q", out)
			}
			if got, want := g.Served("a."+zone), fmt.Sprintf("192.0.0.%d", last-1); got != want {
				t.Errorf("served is %s, not %s", got, want)
			}
			g.Kill()
			g.Start(t)
			stored, _ := g.Say(g.user, "list")
			if !strings.Contains(stored, fmt.Sprintf("192.0.0.%d\n", last-1)) && !strings.Contains(stored, fmt.Sprintf("192.0.0.%d\n", last)) {
				t.Errorf("after the restart: %q, answered was 192.0.0.%d", stored, last-1)
			}
			g.wants(t, g.user, "update b."+zone+" 192.0.0.9", "good")
		})
	}
}

// TestFailedSyncOfData has the fsyncs of what tinydns reads fail: dnserr, the
// old data.cdb stays, and the gateway goes on by itself when they work again.
func TestFailedSyncOfData(t *testing.T) {
	rig.Needs(t, "strace")
	g := newGateway(t)
	g.Start(t)
	g.wants(t, g.user, "update a."+zone+" 192.0.0.1", "good")
	stop := inject(t, g, "fsync:error=EIO")
	g.wants(t, g.user, "update a."+zone+" 192.0.0.2", "dnserr")
	g.wants(t, g.user, "update a."+zone+" 192.0.0.2", "dnserr") // stored, but never nochg
	if got := g.Served("a." + zone); got != "192.0.0.1" && got != "192.0.0.2" {
		t.Errorf("served is %q", got)
	}
	stop()
	g.eventually(t, g.user, "update a."+zone+" 192.0.0.2", "nochg")
	if got := g.Served("a." + zone); got != "192.0.0.2" {
		t.Errorf("served is %q", got)
	}
	checkLeftovers(t, g)
}

// checkLeftovers wants no more in the root than belongs there, and one version
// of each file that the next one is made of.
func checkLeftovers(t *testing.T, g *gateway) {
	t.Helper()
	for _, name := range []string{"data.cdb", "dnsgate"} {
		if left, _ := filepath.Glob(g.Path("root", "."+name+".*.tmp")); len(left) > 1 {
			t.Errorf("left behind: %s", left)
		}
	}
}
