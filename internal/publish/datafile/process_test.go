package datafile

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/records"
	"dnsgate/test/publishing"
)

// TestMain lets the test program be another process of a test.
func TestMain(m *testing.M) {
	switch os.Getenv("PUBLISH_TEST_PROCESS") {
	case "editor":
		runEditor()
	case "crash":
		runCrash()
	default:
		os.Exit(m.Run())
	}
}

func process(t *testing.T, kind string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), "PUBLISH_TEST_PROCESS="+kind), env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd
}

// runEditor adds lines to a data file, one after the other, the way that MODE
// says, for a while.
func runEditor() {
	path, mode := os.Getenv("FILE"), os.Getenv("MODE")
	edit := map[string]func(path, line string) error{
		"append": func(path, line string) error {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err = f.WriteString(line[:len(line)/2]); err == nil {
				time.Sleep(500 * time.Microsecond)
				_, err = f.WriteString(line[len(line)/2:])
			}
			return err
		},
		"in place": func(path, line string) error {
			old, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			time.Sleep(500 * time.Microsecond)
			_, err = f.WriteString(string(old) + line)
			return err
		},
		"rename": func(path, line string) error {
			old, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.WriteFile(path+".new", []byte(string(old)+line), 0o644); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
	}[mode]
	end := time.Now().Add(3 * time.Second)
	n := 0
	for ; time.Now().Before(end); n++ {
		if err := edit(path, fmt.Sprintf("# the operator's line %d\n", n)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		time.Sleep(time.Duration(n%7) * 3 * time.Millisecond)
	}
	os.WriteFile(path+".count", fmt.Append(nil, n), 0o644)
}

// TestEditorsLoseNothing: another process edits while updates run; at the end
// both sides' changes are there.
func TestEditorsLoseNothing(t *testing.T) {
	for _, mode := range []string{"append", "in place", "rename"} {
		for _, how := range []string{"section", "rewrite"} {
			t.Run(mode+" "+how, func(t *testing.T) {
				t.Parallel()
				root := t.TempDir()
				data := filepath.Join(root, "data")
				write(t, data, emptySection+zone+"+h.example.com:192.0.2.1\n")
				var log bytes.Buffer
				o := sectionOptions(root)
				o.Write, o.Logger = how, publishing.LogTo(&log)
				s := publishing.NewTruth()
				set := publishing.Run(t, s, newTarget(t, o))
				editor := process(t, "editor", "FILE="+data, "MODE="+mode)
				if err := editor.Start(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- editor.Wait() }()
				updates := 0
				for running := true; running; updates++ {
					select {
					case err := <-ended:
						if err != nil {
							t.Fatal(err)
						}
						running = false
					default:
					}
					value := fmt.Sprintf("203.0.113.%d", updates%256)
					set.Wait(publishing.Patience(t), []records.Name{"h.example.com"}, s.Set("h.example.com", value))
				}
				last := "+h.example.com:" + fmt.Sprintf("203.0.113.%d", (updates-1)%256)
				var missing []string
				publishing.Eventually(t, func() bool { return strings.Contains(read(t, data), last) })
				got := read(t, data)
				var count int
				fmt.Sscan(read(t, data+".count"), &count)
				for i := range count {
					if line := fmt.Sprintf("# the operator's line %d\n", i); strings.Count(got, line) != 1 {
						missing = append(missing, line)
					}
				}
				kept, _ := filepath.Glob(filepath.Join(root, ".data.*"+keptSuffix))
				t.Logf("%d edits, %d updates, kept %v", count, updates, kept)
				if len(missing) > 0 && len(kept) == 0 {
					t.Errorf("%d of %d lines are lost silently, the first is %q", len(missing), count, missing[0])
				}
				if count < 20 || updates < 20 {
					t.Error("too little happened")
				}
			})
		}
	}
}

// crashOptions are the writers and builders to be killed.
func crashOptions(root, how string) Options {
	write, rebuild, _ := strings.Cut(how, " ")
	o := Options{Root: root, Write: write, Path: "data", Sources: []string{"zone", "data"}, Logger: publishing.Quiet()}
	switch write {
	case "file":
		o.Path, o.Sources = "dnsgate", []string{"zone"}
	case "hosts":
		o.Path, o.Sources = "hosts", []string{"zone"}
	}
	if rebuild != "" {
		o.Rebuild = []string{rebuild}
	}
	return o
}

var (
	crashFirst  = []records.Host{hostWith("a.example.com", "203.0.113.1"), hostWith("b.example.com", "203.0.113.3")}
	crashBefore = []records.Host{hostWith("a.example.com", "203.0.113.1"), hostWith("b.example.com", "203.0.113.2")}
	crashAfter  = []records.Host{hostWith("a.example.com", "203.0.113.11"), hostWith("b.example.com")}
)

// runCrash publishes two states, so that there is a version before the present one, then
// the next, and kills itself at a step of that; the step's name is left in a file.
func runCrash() {
	root := os.Getenv("ROOT")
	at, _ := strconv.Atoi(os.Getenv("STEP"))
	armed := false
	durable.Step = func(step, path string) {
		if !armed {
			return
		}
		if at--; at == 0 {
			os.WriteFile(filepath.Join(root, "step"), []byte(step+" "+filepath.Base(path)), 0o644)
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	target, err := New(crashOptions(root, os.Getenv("HOW")))
	if err == nil {
		err = target.Publish(context.Background(), crashFirst, true)
	}
	if err == nil {
		err = target.Publish(context.Background(), crashBefore, false)
	}
	armed = true
	if err == nil {
		err = target.Publish(context.Background(), crashAfter, false)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// crashRoot makes a root with what the writers need.
func crashRoot(t *testing.T) string {
	root := t.TempDir()
	write(t, filepath.Join(root, "zone"), zone)
	write(t, filepath.Join(root, "data"), emptySection+"+a.example.com:192.0.2.1\n+b.example.com:192.0.2.1\n")
	write(t, filepath.Join(root, "Makefile"), "data.cdb: dnsgate\n\tcat zone dnsgate > data\n\ttinydns-data\n")
	if err := os.Mkdir(filepath.Join(root, "hosts"), 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestKilledAtEveryStep: whatever step of a write is the last, the files are
// whole, and the next start brings them to the stored truth.
func TestKilledAtEveryStep(t *testing.T) {
	program(t, "make", "make")
	for _, how := range []string{"file", "section", "rewrite", "hosts", "file make"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			var steps []string
			for at := 1; ; at++ {
				root := crashRoot(t)
				child := process(t, "crash", "ROOT="+root, "HOW="+how, "STEP="+strconv.Itoa(at))
				err := child.Run()
				if err == nil {
					break // there is no such step
				}
				if child.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Fatalf("step %d: %v", at, err)
				}
				steps = append(steps, read(t, filepath.Join(root, "step")))
				checkAfterCrash(t, root, how)
			}
			if len(steps) < 5 {
				t.Errorf("only %d steps: %v", len(steps), steps)
			}
			t.Logf("killed after %s", strings.Join(steps, ", "))
		})
	}
}

func checkAfterCrash(t *testing.T, root, how string) {
	t.Helper()
	paths := map[string][]string{"file": {"zone", "dnsgate"}, "section": {"zone", "data"}, "rewrite": {"zone", "data"},
		"hosts": {"zone", "hosts/a.example.com"}, "file make": {"zone", "dnsgate"}}[how]
	for _, path := range append([]string{"data.cdb"}, paths...) {
		if content := read(t, filepath.Join(root, path)); content == "" {
			t.Errorf("%s is empty", path)
		}
	}
	cdb := read(t, filepath.Join(root, "data.cdb"))
	if was, is := strings.Contains(cdb, "\xcb\x00\x71\x01"), strings.Contains(cdb, "\xcb\x00\x71\x0b"); was == is {
		t.Error("data.cdb is neither old nor new")
	}
	target := newTarget(t, crashOptions(root, how))
	defer target.Close()
	serve(t, target, true, crashAfter...)
	dated := "data.cdb"
	if how == "file make" {
		dated = "data"
	}
	checkDated(t, root, dated, paths...)
	cdb = read(t, filepath.Join(root, "data.cdb"))
	for _, gone := range []string{"\xcb\x00\x71\x01", "\xcb\x00\x71\x02", "\xcb\x00\x71\x03"} {
		if strings.Contains(cdb, gone) {
			t.Error("data.cdb still has what the store has not")
		}
	}
	for _, pattern := range []string{"*.tmp", ".*.tmp", ".*.swap", ".*.kept", "hosts/.*.tmp", "hosts/b.*"} {
		if left, _ := filepath.Glob(filepath.Join(root, pattern)); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
	}
}
