package datafile

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/test/publishing"
)

// program finds a program of a Debian package.
func program(t testing.TB, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		for _, dir := range []string{"/usr/sbin", "/usr/bin", "/sbin"} {
			if _, statErr := os.Stat(filepath.Join(dir, name)); statErr == nil {
				return filepath.Join(dir, name)
			}
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing: apt-get install %s", name, pkg)
		}
		t.Skipf("%s is missing: apt-get install %s", name, pkg)
	}
	return path
}

func newTarget(t testing.TB, o Options) *Target {
	t.Helper()
	if o.Logger == nil {
		o.Logger = publishing.Quiet()
	}
	target, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return target
}

func hostWith(name string, values ...string) records.Host {
	h := records.Host{Name: records.Name(name), TTL: 300}
	for _, v := range values {
		if addr, err := netip.ParseAddr(v); err == nil {
			h.Records = append(h.Records, records.Record{Addr: addr})
		} else {
			h.Records = append(h.Records, records.Record{Text: v})
		}
	}
	records.Sort(h.Records)
	return h
}

func serve(t testing.TB, target publish.Target, whole bool, hosts ...records.Host) {
	t.Helper()
	if err := target.Publish(context.Background(), hosts, whole); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// realDatabase is what tinydns-data makes of the text of some files.
func realDatabase(t testing.TB, serial int64, paths ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	var text bytes.Buffer
	for _, path := range paths {
		text.WriteString(read(t, path))
		if b := text.Bytes(); len(b) > 0 && b[len(b)-1] != '\n' {
			text.WriteByte('\n')
		}
	}
	data := filepath.Join(dir, "data")
	write(t, data, text.String())
	at := time.Unix(serial, 0)
	if err := os.Chtimes(data, at, at); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t, "tinydns-data", "tinydns"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tinydns-data: %v: %s", err, out)
	}
	return []byte(read(t, filepath.Join(dir, "data.cdb")))
}

// checkDatabase compares data.cdb with what tinydns-data makes of the files.
func checkDatabase(t testing.TB, root string, paths ...string) (serial int64) {
	t.Helper()
	return checkDated(t, root, "data.cdb", paths...)
}

// checkDated does it with the time of a file for the serial: tinydns-data takes
// that of data, which is not always that of data.cdb.
func checkDated(t testing.TB, root, dated string, paths ...string) (serial int64) {
	t.Helper()
	info, err := os.Stat(filepath.Join(root, dated))
	if err != nil {
		t.Fatal(err)
	}
	serial = info.ModTime().Unix()
	for i, path := range paths {
		paths[i] = filepath.Join(root, path)
	}
	if !bytes.Equal(realDatabase(t, serial, paths...), []byte(read(t, filepath.Join(root, "data.cdb")))) {
		t.Fatal("tinydns-data makes other bytes of the same text")
	}
	return serial
}

func fileOptions(root string) Options {
	return Options{Root: root, Write: "file", Path: "dnsgate", Sources: []string{"data"}}
}

const zone = ".example.com::a.ns.example.com:3600\n=a.ns.example.com:192.0.2.53\n"

func TestFileHoldsTheHostsAndTheDatabaseToo(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "data"), zone)
	target := newTarget(t, fileOptions(root))
	lease := hostWith("lease.example.com", "203.0.113.9")
	lease.TTL, lease.Records[0].Expires = 0, 1893456000
	serve(t, target, true,
		hostWith("home.example.com", "203.0.113.7", "2001:db8::7"),
		hostWith("*.home.example.com", "203.0.113.8"),
		hostWith("_acme-challenge.home.example.com", "abc_DEF-123"),
		hostWith("gone.example.com"), lease)
	const want = `+*.home.example.com:203.0.113.8:300
'_acme-challenge.home.example.com:abc_DEF-123:300
+home.example.com:203.0.113.7:300
:home.example.com:28:\040\001\015\270\000\000\000\000\000\000\000\000\000\000\000\007:300
+lease.example.com:203.0.113.9:0:4000000070dbd88a
`
	if got := read(t, filepath.Join(root, "dnsgate")); got != want {
		t.Errorf("the file holds\n%s\nnot\n%s", got, want)
	}
	first := checkDatabase(t, root, "data", "dnsgate")

	serve(t, target, false, hostWith("home.example.com", "203.0.113.70"), hostWith("lease.example.com"))
	if got := read(t, filepath.Join(root, "dnsgate")); !strings.Contains(got, "203.0.113.70") || strings.Contains(got, "lease") {
		t.Errorf("the file holds\n%s", got)
	}
	if second := checkDatabase(t, root, "data", "dnsgate"); second <= first {
		t.Errorf("the serial went from %d to %d", first, second)
	}
}

func TestFefeLines(t *testing.T) {
	root := t.TempDir()
	o := fileOptions(root)
	o.Sources, o.AAAA = nil, "fefe"
	serve(t, newTarget(t, o), true, hostWith("h.example.com", "2001:db8::7"), hostWith("*.h.example.com", "2001:db8::8"))
	const want = "3*.h.example.com:20010db8000000000000000000000008:300\n6h.example.com:20010db8000000000000000000000007:300\n"
	if got := read(t, filepath.Join(root, "dnsgate")); got != want {
		t.Errorf("got %q", got)
	}
}

func TestTheSerialOnlyGrows(t *testing.T) {
	root := t.TempDir()
	cdb := filepath.Join(root, "data.cdb")
	write(t, filepath.Join(root, "data"), zone)
	target := newTarget(t, fileOptions(root))
	serve(t, target, true, hostWith("a.example.com", "203.0.113.1"))
	last := checkDatabase(t, root, "data", "dnsgate")
	for i := range 3 { // within a second
		serve(t, target, false, hostWith("a.example.com", fmt.Sprintf("203.0.113.%d", i+2)))
		serial := checkDatabase(t, root, "data", "dnsgate")
		if serial <= last {
			t.Fatalf("the serial went from %d to %d", last, serial)
		}
		last = serial
	}

	before, _ := os.Stat(cdb)
	serve(t, target, false)
	serve(t, target, false, hostWith("a.example.com", "203.0.113.4"))
	if after, _ := os.Stat(cdb); !os.SameFile(before, after) {
		t.Error("the database was written though nothing changed")
	}

	// The clock went back: the database is from the future.
	future := time.Now().Add(1000 * time.Hour)
	if err := os.Chtimes(cdb, future, future); err != nil {
		t.Fatal(err)
	}
	target.Close()
	target = newTarget(t, fileOptions(root))
	serve(t, target, true, hostWith("a.example.com", "203.0.113.99"))
	if serial := checkDatabase(t, root, "data", "dnsgate"); serial != future.Unix()+1 {
		t.Errorf("the serial is %d, not behind %d", serial, future.Unix())
	}

	// A start that finds the truth there changes nothing.
	before, _ = os.Stat(cdb)
	target.Close()
	target = newTarget(t, fileOptions(root))
	serve(t, target, true, hostWith("a.example.com", "203.0.113.99"))
	if after, _ := os.Stat(cdb); !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Error("the database was written though nothing changed")
	}
	serve(t, target, true, hostWith("a.example.com", "203.0.113.99")) // an operator's rebuild
	if after, _ := os.Stat(cdb); os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Error("a rebuild did not write, or changed the serial of the same data")
	}
}

func TestABrokenSourceKeepsTheDatabase(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "data")
	write(t, data, zone)
	target := newTarget(t, fileOptions(root))
	serve(t, target, true, hostWith("a.example.com", "203.0.113.1"))
	before := read(t, filepath.Join(root, "data.cdb"))

	for _, fault := range []struct{ content, says string }{
		{zone + "\n!what\n", data + ":4: "},
		{zone + ":x.example.com:6:x\n", data + ":3: "},
	} {
		write(t, data, fault.content)
		err := target.Publish(context.Background(), []records.Host{hostWith("a.example.com", "203.0.113.2")}, false)
		if err == nil || !strings.Contains(err.Error(), fault.says) {
			t.Errorf("got %v, not %s", err, fault.says)
		}
		if read(t, filepath.Join(root, "data.cdb")) != before {
			t.Error("the database changed")
		}
	}
	os.Remove(data)
	err := target.Publish(context.Background(), nil, false)
	if err == nil || !strings.Contains(err.Error(), data+" does not exist") {
		t.Errorf("got %v", err)
	}
	write(t, data, zone)
	serve(t, target, false)
	checkDatabase(t, root, "data", "dnsgate")
	if !strings.Contains(read(t, filepath.Join(root, "dnsgate")), "203.0.113.2") {
		t.Error("the update is lost")
	}
}

func TestAChangedSourceIsNoticed(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "zones.a"), zone)
	o := fileOptions(root)
	o.Path, o.Sources = "zones.dnsgate", []string{"zones.*"}
	s := publishing.NewTruth()
	target := newTarget(t, o)
	set := publishing.Run(t, s, target)
	if err := set.Wait(publishing.Patience(t), []records.Name{"a.example.com"}, s.Set("a.example.com", "203.0.113.1")); err != nil {
		t.Fatal(err)
	}
	has := func(what string) func() bool {
		return func() bool {
			content, _ := os.ReadFile(filepath.Join(root, "data.cdb"))
			return bytes.Contains(content, []byte(what))
		}
	}
	write(t, filepath.Join(root, "zones.b"), "'t.example.com:first words\n")
	publishing.Eventually(t, has("first words"))
	write(t, filepath.Join(root, "zones.b"), "'t.example.com:other words\n")
	publishing.Eventually(t, has("other words"))
	write(t, filepath.Join(root, "new"), "'t.example.com:third words\n")
	if err := os.Rename(filepath.Join(root, "new"), filepath.Join(root, "zones.b")); err != nil {
		t.Fatal(err)
	}
	publishing.Eventually(t, has("third words"))
	write(t, filepath.Join(root, "zones.b"), "nonsense\n")
	publishing.Eventually(t, func() bool {
		return strings.Contains(set.Progress()[0].LastError, filepath.Join(root, "zones.b")+":1: ")
	})
	os.Remove(filepath.Join(root, "zones.b"))
	publishing.Eventually(t, func() bool { return set.Progress()[0].LastError == "" })
	if has("third words")() {
		t.Error("the lines of a removed source are still there")
	}
	checkDatabase(t, root, "zones.a", "zones.dnsgate")
}

func TestASecondGatewayOnARootIsRefused(t *testing.T) {
	root := t.TempDir()
	first := newTarget(t, Options{Root: root, Write: "file", Path: "dnsgate"})
	_, err := New(Options{Root: root, Write: "file", Path: "other", Logger: publishing.Quiet()})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another dnsgate (process %d)", os.Getpid())) {
		t.Fatalf("got %v", err)
	}
	first.Close()
	newTarget(t, Options{Root: root, Write: "file", Path: "other"})
}

func TestAVanishedRootComesBack(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	write(t, filepath.Join(root, "data"), zone)
	target := newTarget(t, fileOptions(root))
	serve(t, target, true, hostWith("a.example.com", "203.0.113.1"))
	before := checkDatabase(t, root, "data", "dnsgate")
	if err := os.Rename(root, root+".away"); err != nil {
		t.Fatal(err)
	}
	err := target.Publish(context.Background(), []records.Host{hostWith("a.example.com", "203.0.113.2")}, false)
	if err == nil || !strings.Contains(err.Error(), root) {
		t.Errorf("got %v", err)
	}
	write(t, filepath.Join(root, "data"), zone)
	serve(t, target, false, hostWith("a.example.com", "203.0.113.2"))
	if after := checkDatabase(t, root, "data", "dnsgate"); after <= before {
		t.Errorf("the serial went from %d to %d", before, after)
	}
	if _, err := New(Options{Root: root, Write: "file", Path: "x", Logger: publishing.Quiet()}); err == nil {
		t.Error("the new folder is not locked")
	}
}

func TestLeftoversAreRemoved(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, ".dnsgate.ABCDEFGHIJ.tmp"), "half a li")
	write(t, filepath.Join(root, ".data.cdb.ABCDEFGHIJ.tmp"), "")
	write(t, filepath.Join(root, ".data.cdb.mine.tmp"), "")
	newTarget(t, Options{Root: root, Write: "file", Path: "dnsgate"})
	left, _ := filepath.Glob(filepath.Join(root, ".d*.tmp"))
	if len(left) != 1 || filepath.Base(left[0]) != ".data.cdb.mine.tmp" {
		t.Errorf("left are %v", left)
	}
}

// TestFilesFollowTheStore: after any history the files are what one whole
// write of the last state makes.
func TestFilesFollowTheStore(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	root := t.TempDir()
	write(t, filepath.Join(root, "data"), zone)
	target := newTarget(t, fileOptions(root))
	serve(t, target, true)
	state := make(map[string]records.Host)
	for range 60 {
		var round []records.Host
		for range 1 + random.IntN(5) {
			h := randomHost(random)
			state[string(h.Name)] = h
			round = append(round[:0:0], append(round, h)...)
		}
		serve(t, target, false, newest(round)...)
		checkDatabase(t, root, "data", "dnsgate")
	}
	var all []records.Host
	for _, h := range state {
		all = append(all, h)
	}
	after := read(t, filepath.Join(root, "dnsgate"))
	serve(t, target, true, all...)
	if read(t, filepath.Join(root, "dnsgate")) != after {
		t.Error("a whole write differs from what the changes made")
	}
}

// newest keeps the last state of each host.
func newest(hosts []records.Host) []records.Host {
	at := make(map[records.Name]records.Host)
	for _, h := range hosts {
		at[h.Name] = h
	}
	var last []records.Host
	for _, h := range at {
		last = append(last, h)
	}
	return last
}

func randomHost(random *rand.Rand) records.Host {
	name := fmt.Sprintf("h%d.example.com", random.IntN(30))
	switch random.IntN(5) {
	case 0:
		name = "*." + name
	case 1:
		return hostWith("_acme-challenge."+name, strings.Repeat("x", 1+random.IntN(255)))
	}
	var values []string
	for range random.IntN(4) {
		values = append(values, fmt.Sprintf("203.0.113.%d", random.IntN(256)))
	}
	for range random.IntN(3) {
		values = append(values, fmt.Sprintf("2001:db8::%x", random.IntN(65536)))
	}
	return hostWith(name, values...)
}

// BenchmarkFile is one change among many hosts, with few static names.
func BenchmarkFile(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			root := b.TempDir()
			write(b, filepath.Join(root, "data"), zone)
			benchmarkTarget(b, newTarget(b, fileOptions(root)), n)
		})
	}
}

// benchmarkTarget changes one of n hosts at a time.
func benchmarkTarget(b *testing.B, target publish.Target, n int) {
	var all []records.Host
	for i := range n {
		all = append(all, hostWith(fmt.Sprintf("h%d.example.com", i), "203.0.113.1"))
	}
	serve(b, target, true, all...)
	i := 0
	for b.Loop() {
		i++
		addr := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		serve(b, target, false, hostWith(fmt.Sprintf("h%d.example.com", i%n), addr.String()))
	}
}
