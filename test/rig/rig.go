// Package rig boots what tests need: the real dnsgate, built once; gateways,
// clients, and machines of their own on this one. What it boots sees nothing of
// the machine that the tests run on: no configuration, no state, no home, no
// ssh-agent. All of it ends with the test.
package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Long is how long a test waits for what must come.
const Long = 90 * time.Second

// Main runs the tests of a package apart from the machine's own files.
func Main(m *testing.M) { os.Exit(Apart(m).Run()) }

// Apart is m with a home of its own, and without the ssh-agent of who runs it.
func Apart(m *testing.M) *Tests { return &Tests{m} }

// Tests are the tests of a package.
type Tests struct{ m *testing.M }

// Run runs them, and removes what they built.
func (a *Tests) Run() int {
	dir, err := os.MkdirTemp("", "dnsgate-test")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} { // or they would be in the new home
		if value, err := exec.Command("go", "env", name).Output(); err == nil {
			os.Setenv(name, strings.TrimSpace(string(value)))
		}
	}
	os.Setenv("HOME", dir)
	for _, name := range []string{"SSH_AUTH_SOCK", "SSH_AGENT_PID", "XDG_CONFIG_HOME"} {
		os.Unsetenv(name)
	}
	build.folder = dir
	return a.m.Run()
}

var build struct {
	folder string // set by Run
	once   sync.Once
	said   string // by a build that failed
}

// Dnsgate is the real program, built once. The package's TestMain has to call
// Main, or Run.
func Dnsgate(t testing.TB) string {
	t.Helper()
	program := filepath.Join(build.folder, "dnsgate")
	build.once.Do(func() {
		if out, err := exec.Command("go", "build", "-o", program, "dnsgate/cmd/dnsgate").CombinedOutput(); err != nil {
			build.said = err.Error() + "\n" + string(out)
		}
	})
	if build.said != "" || build.folder == "" {
		t.Fatalf("building dnsgate: %s", build.said)
	}
	return program
}

// Source is the absolute path of a file of this repository.
func Source(t testing.TB, file string) string {
	t.Helper()
	top, err := filepath.Abs(".")
	Must(t, err)
	for ; ; top = filepath.Dir(top) {
		if _, err := os.Stat(filepath.Join(top, "go.mod")); err == nil {
			return filepath.Join(top, file)
		}
		if top == "/" {
			t.Fatal("there is no go.mod above this folder")
		}
	}
}

// Needs skips a test whose programs are not there, except in CI.
func Needs(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			Absent(t, p+" (see the files debian-packages)")
		}
	}
}

// NeedsRoot skips a test that needs the superuser, except in CI.
func NeedsRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Absent(t, "the superuser")
	}
}

// Absent skips a test that lacks something, except in CI.
func Absent(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("this test needs %s", what)
	}
	t.Skipf("this test needs %s", what)
}

// Must ends a test at an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Wait waits until something holds, for Long at most.
func Wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	Within(t, Long, what, holds)
}

// Within is Wait with another limit.
func Within(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain: %s", limit, what)
		}
	}
}

// Write writes a file with just this mode.
func Write(t testing.TB, file, content string, mode os.FileMode) {
	t.Helper()
	Must(t, os.WriteFile(file, []byte(content), mode))
	Must(t, os.Chmod(file, mode))
}

// Read returns what a file holds.
func Read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	Must(t, err)
	return string(text)
}

// Keygen makes an ed25519 key pair.
func Keygen(t testing.TB, file string) {
	t.Helper()
	Needs(t, "ssh-keygen")
	Command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file)
}
