package datafile

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

func hostsOptions(t testing.TB, root string) Options {
	t.Helper()
	write(t, filepath.Join(root, "data"), zone)
	if err := os.MkdirAll(filepath.Join(root, "hosts"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Options{Root: root, Write: "hosts", Path: "hosts", Sources: []string{"data"}}
}

func files(t testing.TB, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name()[0] != '.' {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestHostsHaveAFileEach(t *testing.T) {
	root := t.TempDir()
	o := hostsOptions(t, root)
	folder := filepath.Join(root, "hosts")
	write(t, filepath.Join(folder, "README"), "nobody's lines\n")
	write(t, filepath.Join(folder, "static.example.com"), "+static.example.com:192.0.2.1\n")
	write(t, filepath.Join(folder, ".home.example.com.ABCDEFGHIJ.tmp"), "left")
	target := newTarget(t, o)
	serve(t, target, true, hostWith("home.example.com", "203.0.113.7"), hostWith("*.home.example.com", "203.0.113.8"),
		hostWith("_acme-challenge.home.example.com", "abc"), hostWith("nas.example.com", "203.0.113.9"), hostWith("gone.example.com"))
	const want = "+*.home.example.com:203.0.113.8:300\n'_acme-challenge.home.example.com:abc:300\n+home.example.com:203.0.113.7:300\n"
	if got := read(t, filepath.Join(folder, "home.example.com")); got != want {
		t.Errorf("got %q", got)
	}
	if got := files(t, folder); !slices.Equal(got, []string{"README", "home.example.com", "nas.example.com", "static.example.com"}) {
		t.Errorf("files are %v", got)
	}
	if _, err := os.Stat(filepath.Join(folder, ".home.example.com.ABCDEFGHIJ.tmp")); err == nil {
		t.Error("a temporary file of a killed run is still there")
	}
	checkDatabase(t, root, "data", "hosts/home.example.com", "hosts/nas.example.com")

	serve(t, target, false, hostWith("nas.example.com"), hostWith("*.home.example.com"))
	if got := files(t, folder); !slices.Equal(got, []string{"README", "home.example.com", "static.example.com"}) {
		t.Errorf("files are %v", got)
	}
	checkDatabase(t, root, "data", "hosts/home.example.com")

	// A store that does not know a host any more: its file goes, and the
	// files of others stay.
	target.Close()
	target = newTarget(t, o)
	serve(t, target, true, hostWith("new.example.com", "203.0.113.10"))
	if got := files(t, folder); !slices.Equal(got, []string{"README", "new.example.com", "static.example.com"}) {
		t.Errorf("files are %v", got)
	}
	checkDatabase(t, root, "data", "hosts/new.example.com")
}

func TestOneHostsFileThatCannotBeWritten(t *testing.T) {
	root := t.TempDir()
	o := hostsOptions(t, root)
	if err := os.Mkdir(filepath.Join(root, "hosts", "bad.example.com"), 0o755); err != nil {
		t.Fatal(err)
	}
	target := newTarget(t, o)
	err := target.Publish(context.Background(), []records.Host{hostWith("bad.example.com", "203.0.113.1"), hostWith("fine.example.com", "203.0.113.2")}, true)
	var refused publish.HostErrors
	if !errors.As(err, &refused) || len(refused) != 1 || refused["bad.example.com"] == nil {
		t.Fatalf("got %v", err)
	}
	checkDatabase(t, root, "data", "hosts/fine.example.com")
	os.RemoveAll(filepath.Join(root, "hosts"))
	err = target.Publish(context.Background(), []records.Host{hostWith("fine.example.com", "203.0.113.3")}, false)
	if err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), filepath.Join(root, "hosts")) {
		t.Errorf("got %v", err)
	}
}

// TestHostsFollowTheStore: the files hold what the store does, after any
// history, and the compiled database what they hold.
func TestHostsFollowTheStore(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	root := t.TempDir()
	target := newTarget(t, hostsOptions(t, root))
	serve(t, target, true)
	state := make(map[records.Name]records.Host)
	for range 60 {
		h := randomHost(random)
		state[h.Name] = h
		serve(t, target, false, h)
		var sources []string
		for _, file := range files(t, filepath.Join(root, "hosts")) {
			sources = append(sources, "hosts/"+file)
			var want []byte
			for _, name := range []string{"*." + file, "_acme-challenge." + file, file} {
				want = appendLines(want, tinydns.Stock, []records.Host{state[records.Name(name)]})
			}
			if got := read(t, filepath.Join(root, "hosts", file)); got != string(want) {
				t.Fatalf("%s holds %q, not %q", file, got, want)
			}
		}
		// The database has the lines in order of owner, not of file.
		if len(sources) == 1 {
			checkDatabase(t, root, "data", sources[0])
		}
	}
	for name, h := range state {
		if _, err := os.Stat(filepath.Join(root, "hosts", string(name.Host()))); err != nil && len(h.Records) > 0 {
			t.Errorf("%s has no file", name)
		}
	}
}

func BenchmarkHosts(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			if n > 10_000 && testing.Short() {
				b.Skip("it writes many files")
			}
			benchmarkTarget(b, newTarget(b, hostsOptions(b, b.TempDir())), n)
		})
	}
}
