package rig

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Output gathers what a running program says. Its methods may be called at
// any time.
type Output struct {
	Most int // bytes, about, of which it keeps the first; 0: it keeps all
	mu   sync.Mutex
	text strings.Builder
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.Most == 0 || o.text.Len() < o.Most {
		o.text.Write(p)
	}
	return len(p), nil
}

// Reset forgets what was said.
func (o *Output) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Reset()
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Result is what a command left behind.
type Result struct {
	Stdout, Stderr string
	Status         int
}

// Finish runs a command to its end.
func Finish(t testing.TB, cmd *exec.Cmd) Result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = 5 * time.Second // somebody may keep stdout open behind its caller's back
	}
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v\n%s%s", cmd, err, &stdout, &stderr)
	}
	return Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// Command runs a command that has to succeed, and returns what it said.
func Command(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Expect checks a result's status, and that each text was said.
func (r Result) Expect(t testing.TB, status int, texts ...string) {
	t.Helper()
	if r.Status != status {
		t.Errorf("status %d, want %d\nstdout: %s\nstderr: %s", r.Status, status, r.Stdout, r.Stderr)
	}
	for _, text := range texts {
		if !strings.Contains(r.Stdout+r.Stderr, text) {
			t.Errorf("%q was not said:\n%s%s", text, r.Stdout, r.Stderr)
		}
	}
}

var sending = regexp.MustCompile(`sending "([^"]*)"`)

// Sent returns the commands that a push with -v said it sends.
func (r Result) Sent() string {
	var all []string
	for _, m := range sending.FindAllStringSubmatch(r.Stderr, -1) {
		all = append(all, m[1])
	}
	return strings.Join(all, "; ")
}

// Running is a program that runs beside the test.
type Running struct {
	*Output // stdout and stderr
	Process *os.Process
	cmd     *exec.Cmd
	done    chan struct{}
}

// Start starts a command; the test's end kills it.
func Start(t testing.TB, cmd *exec.Cmd) *Running {
	t.Helper()
	r := &Running{Output: new(Output), cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = r.Output, r.Output
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = time.Second
	}
	Must(t, cmd.Start())
	r.Process = cmd.Process
	go func() { cmd.Wait(); close(r.done) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-r.done })
	return r
}

// Ended is closed once the program has ended.
func (r *Running) Ended() <-chan struct{} { return r.done }

// Wait waits for the program's end, and returns its exit status.
func (r *Running) Wait(t testing.TB) int {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(Long):
		t.Errorf("%s does not end; it said:\n%s", r.cmd, r)
		r.Process.Kill()
		<-r.done
	}
	return r.cmd.ProcessState.ExitCode()
}

// End sends a signal, and returns the exit status.
func (r *Running) End(t testing.TB, s os.Signal) int {
	t.Helper()
	r.Process.Signal(s)
	return r.Wait(t)
}
