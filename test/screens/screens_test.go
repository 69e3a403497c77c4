package screens

import (
	"flag"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"dnsgate/test/rig"
)

var update = flag.Bool("update", false, "write the golden files again")

// changing is what differs from run to run, and what replaces it.
var changing = []struct {
	text *regexp.Regexp
	is   string
}{
	{regexp.MustCompile(`(?m)^dnsgate \S+  up \d+s  (.* revision \d+).*$`), "dnsgate VERSION  up 0s  $1"}, // the clock, where a version leaves room for it
	{regexp.MustCompile(`\d\d:\d\d:\d\d`), "12:00:00"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT12:00:00Z`), "2026-11-28T12:00:00Z"},
	{regexp.MustCompile(` +\d+(ms|us|s)\b`), " 1s"},
	{regexp.MustCompile(`(?m)^(updates|accepted) .*$`), "$1 ..."},
	{regexp.MustCompile(`(?m)^\d+ connections.*$`), "connections ..."},
	{regexp.MustCompile(`SHA256:\S+`), "SHA256:..."},
	{regexp.MustCompile(`(?m) +$`), ""},
}

// golden compares a screen with the one in testdata.
func golden(t *testing.T, name, screen string) {
	t.Helper()
	for _, c := range changing {
		screen = c.text.ReplaceAllString(screen, c.is)
	}
	path := filepath.Join("testdata", name+".txt")
	if *update {
		rig.Write(t, path, screen, 0o644)
	}
	if want := rig.Read(t, path); screen != want {
		t.Errorf("%s:\n%s\nwant\n%s", path, screen, want)
	}
}

func TestKeysAndScreens(t *testing.T) {
	g := newGateway(t)
	s := sit(t, 90, 24, g.top("operator", ""))
	golden(t, "hosts", s.sees("home.example.com", "nas.example.com", "? keys"))
	s.types("/", "n", "a", "s")
	golden(t, "filter", s.sees("1 of 3"))
	s.types("Enter", "Enter")
	golden(t, "open", s.sees("Records", "History"))
	s.types("Escape", "Escape", "3")
	golden(t, "keys", s.sees("FINGERPRINT", "evil ?[2J"))
	s.types("4")
	s.sees("COMMAND", "router")
	s.types("?")
	golden(t, "help", s.sees("publish everything again"))
	s.types("?", "r")
	s.sees("rebuilt")
	s.types("1", "o")
	s.sees("Take home.example.com offline?")
	s.types("y")
	s.sees("home.example.com is offline")
	if out := g.ssh("router", "list home.example.com"); out != "" {
		t.Errorf("it has records: %q", out)
	}
	s.leaves()
}

// The commands of others are shown as they end.
func TestCommandsAsTheyHappen(t *testing.T) {
	g := newGateway(t)
	s := sit(t, 100, 24, g.top("monitor", ""))
	s.sees("home.example.com")
	s.types("4", "/", "8", "8")
	s.sees("/88")
	s.types("Escape")
	g.ssh("router", "update nas.example.com 203.0.113.88")
	screen := s.sees("nas.example.com")
	if line := regexp.MustCompile(`\d\d:\d\d:\d\d update +good +nas\.example\.com +router +127\.0\.0\.1 +\d+(us|ms)`); !line.MatchString(screen) {
		t.Errorf("code, host, key, source and duration are not all shown:\n%s", screen)
	}
	s.types("1")
	s.sees("203.0.113.88")
	s.types("o")
	s.sees("may look, and no more")
	s.leaves()
}

// Followers stand among the publishers, and one that has gone stays.
func TestFollowers(t *testing.T) {
	g := newGateway(t)
	s := sit(t, 120, 24, g.top("monitor", ""))
	s.sees("home.example.com")
	s.types("2")
	s.sees("tinydns")
	follower := exec.Command("ssh", "-F", g.of("config"), "-i", g.of("ns2"), "gate", "follow")
	in, err := follower.StdinPipe() // open: it stays
	rig.Must(t, err)
	rig.Must(t, follower.Start())
	s.sees("follower ns2")
	in.Close()
	follower.Process.Kill()
	follower.Wait()
	golden(t, "followers", regexp.MustCompile(`(?m)^(. follower ns2 +)\d+ +\d+ +\d+ +`).ReplaceAllString(s.sees("the follower hung up"), "$1..."))
	s.leaves()
}

func TestPenalties(t *testing.T) {
	g := newGateway(t, `penalty_exempt = ["127.0.0.0/8", "::1"]`, `penalty_exempt = []`)
	s := sit(t, 100, 24, g.top("monitor", ""))
	s.sees("home.example.com")
	s.types("5")
	rig.Keygen(t, g.of("stranger"))
	for range 5 {
		exec.Command("ssh", "-F", g.of("config"), "-o", "BindAddress=127.0.0.2", "-i", g.of("stranger"), "gate", "whoami").Run()
	}
	s.sees("127.0.0.2/32", "failed login", "1 sources slowed")
	s.leaves()
}

// A screen ends soon after its key has gone. The file counts within a second by itself
// (internal/authkeys), and a screen asks ten times a second.
func TestRevokedKey(t *testing.T) {
	g := newGateway(t)
	s := sit(t, 100, 24, g.top("monitor", ""))
	s.sees("home.example.com")
	began := time.Now()
	g.revoke("monitor")
	screen := s.sees("ended with 77")
	t.Logf("after %s", time.Since(began).Round(time.Millisecond))
	if !strings.Contains(screen, "nohost") {
		t.Errorf("it does not say why:\n%s", screen)
	}
}
