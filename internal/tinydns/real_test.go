package tinydns

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

var differentialFiles = flag.Int("tinydns.files", 300, "generated files to compare with the real programs")

// need returns the path of one of djb's programs. Without it the test is
// skipped, but not in CI.
func need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("%v: install the Debian packages tinydns and dnsutils", err)
	}
	if err != nil {
		t.Skipf("%v: install the Debian packages tinydns and dnsutils", err)
	}
	return path
}

// run runs a program in dir, and returns its exit status and output.
func run(t testing.TB, dir, program string, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	var status *exec.ExitError
	if err := cmd.Run(); errors.As(err, &status) {
		exit = status.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return exit, out.String(), errs.String()
}

// compareCompile compiles data with the real program and with Compile, and
// returns the folders.
func compareCompile(t testing.TB, real string, data []byte, changed time.Time) (dir string) {
	t.Helper()
	theirs, ours := t.TempDir(), t.TempDir()
	writeData(t, theirs, data, changed)
	writeData(t, ours, data, changed)
	exit, _, stderr := run(t, theirs, real)
	err := Compile(ours)
	gotExit, got := 0, ""
	if err != nil {
		gotExit, got = 111, "tinydns-data: fatal: "+err.Error()+"\n"
	}
	if exit != gotExit || stderr != got {
		t.Errorf("%q\nreal: exit %d %sours: exit %d %s", data, exit, stderr, gotExit, got)
		return theirs
	}
	if exit == 0 && !bytes.Equal(readFile(t, theirs+"/data.cdb"), readFile(t, ours+"/data.cdb")) {
		t.Errorf("data.cdb differs for %q", data)
	}
	return theirs
}

// TestCompileDifferential compares Compile with tinydns-data on generated
// files, polite and rude ones.
func TestCompileDifferential(t *testing.T) {
	real := need(t, "tinydns-data")
	changed := time.Unix(1700000000, 0)
	for i := range *differentialFiles {
		g := newGenerator(uint64(i), []float64{0, 0.02, 0.2}[i%3])
		compareCompile(t, real, g.file(60), changed)
		if t.Failed() {
			t.Fatalf("seed %d", i)
		}
	}
}

// FuzzCompile compares Compile with tinydns-data on any bytes.
func FuzzCompile(f *testing.F) {
	real := need(f, "tinydns-data")
	for i := range 20 {
		f.Add(newGenerator(uint64(i), 0.1).file(10), int64(i))
	}
	f.Fuzz(func(t *testing.T, data []byte, changed int64) {
		compareCompile(t, real, data, time.Unix(changed%(1<<33), 0))
	})
}

// compareGet compares Get with tinydns-get in a folder with data.cdb.
func compareGet(t testing.TB, real, dir string, args ...string) {
	t.Helper()
	for attempt := 0; ; attempt++ {
		now := time.Now()
		exit, stdout, stderr := run(t, dir, real, args...)
		gotExit, got, gotErr := ourGet(dir, args, now)
		if exit == gotExit && stdout == got && stderr == gotErr {
			return
		}
		if attempt < 3 && (now.Nanosecond() < 20e6 || time.Now().Unix() != now.Unix()) {
			time.Sleep(25 * time.Millisecond)
			continue // time(2) lags a little: theirs may have been another second
		}
		t.Errorf("%q\nreal: exit %d %s%sours: exit %d %s%s", args, exit, stderr, stdout, gotExit, gotErr, got)
		return
	}
}

func ourGet(dir string, args []string, now time.Time) (exit int, stdout, stderr string) {
	var out strings.Builder
	err := Get(&out, dir, args, now)
	switch {
	case errors.Is(err, ErrUsage):
		return 100, out.String(), "tinydns-get: usage: tinydns-get type name [ip]\n"
	case err != nil:
		return 111, out.String(), "tinydns-get: fatal: " + err.Error() + "\n"
	}
	return 0, out.String(), ""
}

// queries are some that data may have answers to.
func (g *generator) queries(n int) [][]string {
	var out [][]string
	for range n {
		q := []string{
			g.pick("any", "any", "a", "A", "ns", "mx", "txt", "soa", "cname", "ptr", "aaaa", "33", "255", "axfr", "x", "", "1x"),
			strings.Replace(g.name(), "\x00", "", -1),
		}
		if ip := strings.Replace(g.ip(), "\x00", "", -1); g.IntN(2) == 0 {
			q = append(q, ip)
		}
		if g.IntN(50) == 0 {
			q = q[:g.IntN(len(q))]
		}
		out = append(out, q)
	}
	return out
}

// TestGetDifferential compares Get with tinydns-get on generated files.
func TestGetDifferential(t *testing.T) {
	real, compiler := need(t, "tinydns-get"), need(t, "tinydns-data")
	for i := range *differentialFiles/20 + 1 {
		dir := t.TempDir()
		g := newGenerator(uint64(1000000+i), []float64{0, 0.01, 0.05}[i%3])
		for {
			writeData(t, dir, g.file(200), time.Unix(1700000000, 0))
			if exit, _, _ := run(t, dir, compiler); exit == 0 {
				break
			}
		}
		for _, q := range g.queries(60) {
			compareGet(t, real, dir, q...)
		}
		if t.Failed() {
			t.Fatalf("seed %d\n%q", 1000000+i, readFile(t, dir+"/data"))
		}
	}
}

// FuzzGet compares Get with tinydns-get on what a fuzzer finds.
func FuzzGet(f *testing.F) {
	real, compiler := need(f, "tinydns-get"), need(f, "tinydns-data")
	for i := range 20 {
		g := newGenerator(uint64(i), 0.02)
		q := g.queries(1)[0]
		f.Add(g.file(20), strings.Join(q, " "))
	}
	f.Fuzz(func(t *testing.T, data []byte, query string) {
		dir := t.TempDir()
		writeData(t, dir, data, time.Unix(1700000000, 0))
		if strings.ContainsRune(query, 0) {
			return
		}
		if exit, _, _ := run(t, dir, compiler); exit != 0 {
			return
		}
		compareGet(t, real, dir, strings.Split(query, " ")...)
	})
}

// FuzzDatabase asks any bytes as a database. Nothing may panic or hang, and
// what is answered must print, unless a record in it is wrong.
func FuzzDatabase(f *testing.F) {
	for i := range 5 {
		var b Builder
		b.SetSources([]*Part{encoded(f, politeFile(uint64(i), 30))}, nil)
		f.Add(database(f, &b, 1700000000), "www.example.com", uint16(typeANY), uint16(0))
		f.Add(database(f, &b, 1700000000), "*.b.example.com", uint16(typeA), uint16(700))
	}
	f.Fuzz(func(t *testing.T, cdb []byte, name string, kind, flip uint16) {
		wire, err := appendName(nil, []byte(name))
		if err != nil {
			return
		}
		cdb = bytes.Clone(cdb)
		if len(cdb) > 0 {
			cdb[int(flip)%len(cdb)] ^= byte(flip >> 8)
		}
		db := newReader(bytes.NewReader(cdb), int64(len(cdb)))
		var out strings.Builder
		if m := lookUp(db, wire, kind, [4]byte{127, 0, 0, 1}, time.Unix(1700000000, 0)); m != nil {
			if err := printMessage(&out, m.bytes); err != nil && !errors.Is(err, errPacket) {
				t.Error(err)
			}
		}
	})
}
