package faults

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"dnsgate/test/rig"

	"golang.org/x/crypto/ssh"
)

// slowBuild makes g rebuild with a command that does not end before the
// function that it returns is called.
func (g *gateway) slowBuild(t *testing.T) (release func()) {
	t.Helper()
	g.Configure(t, `rebuild = "builtin"`, `rebuild = ["./build"]`)
	build := "#!/bin/sh\nwhile ! test -e go; do sleep .05; done\n" +
		"mkdir -p all; cat data dnsgate >all/data; cd all && tinydns-data && exec mv data.cdb ..\n"
	if err := os.WriteFile(g.Path("root", "build"), []byte(build), 0o755); err != nil {
		t.Fatal(err)
	}
	release = func() { os.WriteFile(g.Path("root", "go"), nil, 0o644) }
	t.Cleanup(release)
	return release
}

// TestRevokedInLine: a line of a batch that waits for an earlier one of the
// same host may not run any more once the key is gone.
func TestRevokedInLine(t *testing.T) {
	g := newGateway(t)
	release := g.slowBuild(t)
	release()
	g.Start(t)
	g.wants(t, g.user, "update a."+zone+" 192.0.0.1", "good")
	if err := os.Remove(g.Path("root", "go")); err != nil {
		t.Fatal(err)
	}
	conn, err := g.Dial(g.user)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in, replies := batch(t, conn)
	fmt.Fprintf(in, "a.%s 192.0.0.2\na.%s 192.0.0.3\n", zone, zone)
	time.Sleep(500 * time.Millisecond)
	g.Must(t, "", "key", "remove", g.Config(), ssh.FingerprintSHA256(g.user.PublicKey()))
	time.Sleep(1500 * time.Millisecond)
	release()
	var got []string
	for replies.Scan() {
		word, _, _ := strings.Cut(replies.Text(), " ")
		if got = append(got, word); len(got) == 2 {
			break
		}
	}
	if len(got) != 2 || got[0] != "good" || got[1] != "nohost" {
		t.Errorf("replies %q, not good and nohost", got)
	}
	if stored, _ := g.Say(g.admin, "hosts"); !strings.Contains(stored, " 192.0.0.2 ") {
		t.Errorf("stored: %s", stored)
	}
}

// batch begins "update -".
func batch(t *testing.T, conn *ssh.Client) (io.Writer, *bufio.Scanner) {
	t.Helper()
	session, err := conn.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, err := session.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("update -"); err != nil {
		t.Fatal(err)
	}
	return in, bufio.NewScanner(out)
}

// TestRateAfterHangingUp: who does not wait for the answer is counted too.
func TestRateAfterHangingUp(t *testing.T) {
	g := newGateway(t, "updates_per_minute = 1000000 ", "updates_per_minute = 10 ")
	rig.Needs(t, "strace")
	g.Start(t)
	stop := inject(t, g, "fdatasync:delay_enter=50000") // a slow disk: nobody waits for it
	for n := range 40 {
		conn, err := g.Dial(g.user)
		if err != nil {
			t.Fatal(err)
		}
		session, err := conn.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Start(fmt.Sprintf("update a.%s 192.0.1.%d", zone, n)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		conn.Close()
	}
	time.Sleep(200 * time.Millisecond)
	stop()
	history, _ := g.Say(g.user, "history a."+zone)
	t.Log(strings.Count(history, "\n"), "changes")
	if n := strings.Count(history, "\n"); n > 12 {
		t.Errorf("%d changes came through where 10 are allowed", n)
	}
}

// TestNoChangeBehindAChange: nochg is not said while a change of the same host,
// from a connection that was given up, is still on its way to a slow disk, and
// would undo it.
func TestNoChangeBehindAChange(t *testing.T) {
	rig.Needs(t, "strace")
	g := newGateway(t)
	g.Start(t)
	g.wants(t, g.user, "update a."+zone+" 192.0.0.1", "good")
	stop := inject(t, g, "fdatasync:delay_enter=500000")
	conn, err := g.Dial(g.user)
	if err != nil {
		t.Fatal(err)
	}
	session, err := conn.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("update a." + zone + " 192.0.0.2"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	conn.Close()
	out, exit := g.Say(g.user, "update a."+zone+" 192.0.0.1")
	if exit != 0 {
		t.Fatal(out)
	}
	stop()
	time.Sleep(500 * time.Millisecond)
	if stored, _ := g.Say(g.user, "list"); !strings.HasSuffix(stored, " 192.0.0.1\n") {
		t.Errorf("answered was %q, stored is %q", out, stored)
	}
}
