package faults

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/records"
	"dnsgate/test/rig"
)

// TestTwoGateways: the second one on a state folder, or on a root, does not
// start, and says why; the first one does not notice, however busy it is.
func TestTwoGateways(t *testing.T) {
	g := newGateway(t)
	g.Start(t)
	told := answers{}
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if code := told.update(g, n); code != "good" {
				t.Errorf("the first one: %s", code)
				return
			}
		}
	}()
	for range 5 {
		second := &rig.Gateway{Dir: g.Dir, Program: g.Program}
		if err := second.TryStart(); err == nil || !strings.Contains(err.Error(), "in use by another dnsgate") {
			t.Errorf("the second one on a state folder: %v", err)
			second.Kill()
		}
	}
	third := newGateway(t, `root = "root" `, `root = "`+g.Path("root")+`" `)
	if err := third.TryStart(); err == nil || !strings.Contains(err.Error(), "another dnsgate") {
		t.Errorf("the second one on a root: %v", err)
		third.Kill()
	}
	if out, err := g.Try("", "restore", g.Config()); err == nil {
		t.Errorf("restore under a running gateway: %s", out)
	}
	close(stop)
	<-stopped
	told.check(t, g)
}

// TestRebuild has commands of the operator's that fail, hang, and talk too much.
func TestRebuild(t *testing.T) {
	g := newGateway(t, `rebuild = "builtin"`, `rebuild = ["./build"]`, `timeout = "10s"`, `timeout = "1s"`)
	build := "cat data dnsgate > .all && mkdir -p .b && mv .all .b/data && " + rig.Dnsgate(t) + " compile -C .b && mv .b/data.cdb data.cdb\n"
	script := func(text string) {
		t.Helper()
		next := g.Path("root", "build.new")
		if err := os.WriteFile(next, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, g.Path("root", "build")); err != nil {
			t.Fatal(err)
		}
	}
	script(build)
	g.Start(t)
	told := answers{}
	if code := told.update(g, 0); code != "good" {
		t.Fatal(code, g.Log())
	}
	for n, bad := range []string{
		"echo all is good; exit 3\n",
		"kill -9 $$\n",
		"sleep 1000\n",
		"trap '' TERM INT HUP; while :; do sleep 1; done\n",
		"exec yes all is good\n",
		"head -c 200000000 /dev/zero; head -c 200000000 /dev/zero >&2; exit 1\n",
		"env | grep -v -e ^PATH= -e ^HOME= -e ^LC_ALL= -e ^PWD= -e ^_= -e ^OLDPWD= -e ^SHLVL= && exit 0; exit 1\n",
	} {
		script(bad)
		began := time.Now()
		out, _ := g.Say(g.user, fmt.Sprintf("update n%d.%s 192.0.0.%d", n+1, zone, n+1))
		if !strings.HasPrefix(out, "dnserr ") || strings.Contains(out, "good") {
			t.Errorf("%q: %s", bad, out)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%q: answered after %v", bad, took)
		}
		if got := g.Served("n0." + zone); got != "192.0.0.0" {
			t.Errorf("%q: served is %q", bad, got)
		}
		script(build)
		g.eventually(t, g.user, fmt.Sprintf("update n%d.%s 192.0.0.%d", n+1, zone, n+1), "nochg")
		told.update(g, n+1)
	}
	script(build + "head -c 50000000 /dev/zero | tr '\\0' x\n") // much, and all is well
	g.eventually(t, g.user, "update n99."+zone+" 192.0.0.99", "nochg")
	told.check(t, g)
	if n := len(g.Log()); n > 1<<20 {
		t.Errorf("the log has %d bytes", n)
	}
	if peak := g.memory(t, "VmHWM"); peak > 200<<10 {
		t.Errorf("it took %d KiB of memory", peak)
	}
}

// memory is a figure in KiB of the gateway's process: see rig.Memory.
func (g *gateway) memory(t *testing.T, figure string) int {
	t.Helper()
	kib, err := rig.Memory(g.Process().Pid, figure)
	rig.Must(t, err)
	return kib
}

// TestClock: what a clock that jumped leaves behind: files with times to come,
// and leases that ended or end late. TestClockJumps has it jump.
func TestClock(t *testing.T) {
	g := newGateway(t)
	g.Start(t)
	g.wants(t, g.user, "update a."+zone+" 192.0.0.1", "good")
	g.Kill()
	hour := time.Now().Add(time.Hour) // the last run's clock was an hour ahead
	if err := os.Chtimes(g.Path("root", "data.cdb"), hour, hour); err != nil {
		t.Fatal(err)
	}
	g.Start(t)
	last := hour.Unix()
	for n := range 5 {
		g.wants(t, g.user, fmt.Sprintf("update a.%s 192.0.1.%d", zone, n), "good")
		if serial := g.serial(t); serial <= last {
			t.Errorf("the serial is %d after %d", serial, last)
		} else {
			last = serial
		}
	}
	g.Kill()
	g.restoreLeases(t, time.Now())
	g.Start(t)
	g.Say(g.admin, "rebuild")
	time.Sleep(200 * time.Millisecond)
	stored, _ := g.Say(g.user, "list")
	for host, there := range map[string]bool{"past": false, "future": true, "none": true} {
		if strings.Contains(stored, host+"."+zone) != there || (g.Served(host+"."+zone) != "") != there {
			t.Errorf("%s: %q, served %q", host, stored, g.Served(host+"."+zone))
		}
	}
	g.wants(t, g.user, "update past."+zone+" 192.0.0.1", "good")
	g.wants(t, g.user, "update future."+zone+" 192.0.0.1", "nochg") // and without a lease from now on
	if serial := g.serial(t); serial <= last {
		t.Errorf("the serial is %d after %d", serial, last)
	}
}

// restoreLeases makes a store with leases that ended, and that end late.
func (g *gateway) restoreLeases(t *testing.T, now time.Time) {
	t.Helper()
	var backup strings.Builder
	b := records.NewBackupWriter(&backup)
	for i, end := range []int64{now.Add(-time.Hour).Unix(), now.Add(time.Hour).Unix(), 0} {
		name := []string{"past", "future", "none"}[i]
		rs, at := "192.0.0.1", ""
		if end != 0 {
			at = fmt.Sprintf("@%d", end)
		}
		c, err := records.ParseChange(fmt.Sprintf("%d %s %s.%s - %s%s 300 key -", i+1, now.UTC().Format(time.RFC3339), name, zone, rs, at))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(c)
	}
	b.Close(3)
	os.RemoveAll(g.Path("state"))
	g.Must(t, backup.String(), "restore", g.Config())
}

// serial is the zone's in data.cdb.
func (g *gateway) serial(t *testing.T) int64 {
	t.Helper()
	out := g.Get(t, "soa", zone)
	f := strings.Fields(out)
	for i := range f {
		if f[i] == "SOA" && i+3 < len(f) {
			n, err := strconv.ParseInt(f[i+3], 10, 64)
			if err != nil {
				t.Fatal(out)
			}
			return n
		}
	}
	t.Fatalf("no serial in %q", out)
	return 0
}
