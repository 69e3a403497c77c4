package datafile

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/records"
	"dnsgate/test/publishing"
)

const makefile = `data: zones.a zones.b
	cat $^ > $@
data.cdb: data
	tinydns-data
.DEFAULT_GOAL := data.cdb
`

// made is a root with zone files and a Makefile that concatenates them.
func made(t testing.TB) string {
	t.Helper()
	program(t, "make", "make")
	program(t, "tinydns-data", "tinydns")
	root := t.TempDir()
	write(t, filepath.Join(root, "Makefile"), makefile)
	write(t, filepath.Join(root, "zones.a"), zone)
	write(t, filepath.Join(root, "zones.b"), "")
	return root
}

func makeOptions(root string) Options {
	return Options{Root: root, Write: "file", Path: "zones.b", Sources: []string{"zones.a", "data"}, Rebuild: []string{"make"}, Logger: publishing.Quiet()}
}

func holds(t testing.TB, root, value string) bool {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "data.cdb"))
	return err == nil && strings.Contains(string(content), value)
}

// TestMakeSeesEveryChange: as fast as it goes, within one tick of the clock.
func TestMakeSeesEveryChange(t *testing.T) {
	root := made(t)
	target := newTarget(t, makeOptions(root))
	serve(t, target, true)
	for i := range 30 {
		text := strings.Repeat(string(rune('a'+i%26)), 20)
		serve(t, target, false, hostWith("_acme-challenge.h.example.com", text))
		if !holds(t, root, text) {
			t.Fatalf("change %d is not in data.cdb", i)
		}
	}
	checkDated(t, root, "data", "zones.a", "zones.b")
}

func TestMakeSeesAChangeWhenTheClockWentBack(t *testing.T) {
	root := made(t)
	target := newTarget(t, makeOptions(root))
	serve(t, target, true, hostWith("_acme-challenge.h.example.com", "first"))
	future := time.Now().Add(time.Hour)
	for _, name := range []string{"data", "data.cdb"} {
		if err := os.Chtimes(filepath.Join(root, name), future, future); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, target, false, hostWith("_acme-challenge.h.example.com", "second"))
	if !holds(t, root, "second") {
		t.Error("make did not see the change")
	}
}

func TestMakeRunsWhenASourceChanges(t *testing.T) {
	root := made(t)
	s := publishing.NewTruth()
	target := newTarget(t, makeOptions(root))
	set := publishing.Run(t, s, target)
	if err := set.Wait(publishing.Patience(t), []records.Name{"h.example.com"}, s.Set("h.example.com", "203.0.113.1")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "zones.a"), zone+"'t.example.com:operators words\n")
	publishing.Eventually(t, func() bool { return holds(t, root, "operators words") })
	time.Sleep(300 * time.Millisecond) // it comes to rest: what make makes is no change
	before := set.Progress()[0].Publications
	time.Sleep(time.Second)
	if after := set.Progress()[0].Publications; after > before+1 {
		t.Errorf("%d rounds though nothing changes", after-before)
	}
}

func TestMakeWithHostFiles(t *testing.T) {
	root := made(t)
	write(t, filepath.Join(root, "Makefile"), strings.Replace(makefile, "zones.b", "$(wildcard hosts/*)", 1))
	o := makeOptions(root)
	o.Write, o.Path = "hosts", "hosts"
	if err := os.Mkdir(filepath.Join(root, "hosts"), 0o755); err != nil {
		t.Fatal(err)
	}
	target := newTarget(t, o)
	serve(t, target, true, hostWith("_acme-challenge.a.example.com", "texta"), hostWith("_acme-challenge.b.example.com", "textb"))
	if !holds(t, root, "texta") || !holds(t, root, "textb") {
		t.Error("a host is not in data.cdb")
	}
	serve(t, target, false, hostWith("_acme-challenge.a.example.com"))
	if holds(t, root, "texta") {
		t.Error("make did not see that a host is gone")
	}
}

func failing(t *testing.T, log *slog.Logger, timeout time.Duration, script string) error {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "script"), "#!/bin/sh\n"+script)
	if err := os.Chmod(filepath.Join(root, "script"), 0o755); err != nil {
		t.Fatal(err)
	}
	target := newTarget(t, Options{Root: root, Write: "file", Path: "dnsgate",
		Rebuild: []string{"./script", "a b", "$HOME"}, Timeout: timeout, Logger: log})
	return target.Publish(context.Background(), nil, true)
}

func TestAFailedCommand(t *testing.T) {
	err := failing(t, nil, 0, "echo first\necho zones.a:3: nonsense >&2\necho; echo giving up\nexit 7\n")
	if err == nil || !strings.Contains(err.Error(), "exit status 7: zones.a:3: nonsense; giving up") {
		t.Errorf("got %v", err)
	}
	root := t.TempDir()
	target := newTarget(t, Options{Root: root, Write: "file", Path: "dnsgate", Rebuild: []string{"no-such-program"}, Logger: publishing.Quiet()})
	if err := target.Publish(context.Background(), nil, true); err == nil || !strings.Contains(err.Error(), "no-such-program is in none of the folders") {
		t.Errorf("got %v", err)
	}
}

func TestTheCommandsSurroundings(t *testing.T) {
	t.Setenv("SECRET", "x")
	var out bytes.Buffer
	if err := failing(t, publishing.LogTo(&out), 0, `pwd -P; printf '%s|' "$@"; echo; env; head -c 5000 /dev/zero | tr '\0' x; echo; cat`); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	for _, want := range []string{`output="a b|$HOME|"`, `output="PATH=/usr/local/sbin`, `output="HOME=/"`, "output=" + strings.Repeat("x", maxOutputLine) + "\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the log lacks %s:\n%s", want, got)
		}
	}
	if strings.Contains(got, "SECRET") {
		t.Error("the gateway's environment is passed on")
	}
}

func TestATimeoutKillsTheProcessGroup(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	start := time.Now()
	err := failing(t, publishing.Quiet(), 300*time.Millisecond, "(sleep 2; touch "+mark+") &\nsleep 60\n")
	if err == nil || !strings.Contains(err.Error(), "killed after 300ms") {
		t.Errorf("got %v", err)
	}
	time.Sleep(time.Until(start.Add(2500 * time.Millisecond)))
	if _, err := os.Stat(mark); err == nil {
		t.Error("a child of the command outlived it")
	}
}

// BenchmarkMake is one change among many hosts, and make with cat and
// tinydns-data behind it.
func BenchmarkMake(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			benchmarkTarget(b, newTarget(b, makeOptions(made(b))), n)
		})
	}
}
