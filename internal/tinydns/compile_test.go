package tinydns

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCompileCases replays what the real tinydns-data was seen to do.
func TestCompileCases(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.data")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		name := strings.TrimSuffix(filepath.Base(path), ".data")
		t.Run(name, func(t *testing.T) {
			data := readFile(t, path)
			dir := t.TempDir()
			writeData(t, dir, data, readTime(t, "testdata/"+name+".mtime"))
			got := outcome(t, dir, Compile(dir))
			if want := string(readFile(t, "testdata/"+name+".expect")); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// outcome describes what a compiler left in dir, in the words of the cases.
func outcome(t *testing.T, dir string, err error) string {
	t.Helper()
	var b strings.Builder
	exit, stderr := 0, ""
	if err != nil {
		exit, stderr = 111, "tinydns-data: fatal: "+err.Error()+"\n"
	}
	quoted, _ := json.Marshal(stderr)
	fmt.Fprintf(&b, "exit %d\nstderr %s\n", exit, quoted)
	switch cdb, err := os.ReadFile(filepath.Join(dir, "data.cdb")); {
	case errors.Is(err, fs.ErrNotExist):
		b.WriteString("cdb_sha256 -\ncdb_size -\n")
	case err != nil:
		t.Fatal(err)
	default:
		sum := sha256.Sum256(cdb)
		fmt.Fprintf(&b, "cdb_sha256 %s\ncdb_size %d\n", hex.EncodeToString(sum[:]), len(cdb))
	}
	left := "no"
	if _, err := os.Lstat(filepath.Join(dir, "data.tmp")); err == nil {
		left = "yes"
	}
	fmt.Fprintf(&b, "data_tmp_left %s\n", left)
	return b.String()
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readTime(t testing.TB, path string) time.Time {
	t.Helper()
	var seconds, nanoseconds int64
	r := bufio.NewReader(bytes.NewReader(readFile(t, path)))
	if _, err := fmt.Fscan(r, &seconds, &nanoseconds); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return time.Unix(seconds, nanoseconds)
}

func writeData(t testing.TB, dir string, data []byte, changed time.Time) {
	t.Helper()
	path := filepath.Join(dir, "data")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, changed, changed); err != nil {
		t.Fatal(err)
	}
}
