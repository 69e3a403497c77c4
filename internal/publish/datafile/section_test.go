package datafile

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
	"dnsgate/test/publishing"
)

const emptySection = sectionStart + "\n" + sectionEnd + "\n"

func sectionOptions(root string) Options {
	return Options{Root: root, Write: "section", Path: "data", Sources: []string{"data"}}
}

func TestSectionHoldsTheHosts(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "data")
	write(t, data, sectionStart+"  \n+old.example.com:192.0.2.1\n"+sectionEnd+"\r\n"+zone)
	if err := os.Chmod(data, 0o604); err != nil {
		t.Fatal(err)
	}
	target := newTarget(t, sectionOptions(root))
	serve(t, target, true, hostWith("home.example.com", "203.0.113.7"))
	want := sectionStart + "  \n+home.example.com:203.0.113.7:300\n" + sectionEnd + "\r\n" + zone
	if got := read(t, data); got != want {
		t.Errorf("got %q", got)
	}
	if info, _ := os.Stat(data); info.Mode() != 0o604 {
		t.Errorf("the mode is %v", info.Mode())
	}
	serve(t, target, false, hostWith("home.example.com"), hostWith("b.example.com", "2001:db8::1"))
	checkDatabase(t, root, "data")
	if got := read(t, data); strings.Contains(got, "home") || !strings.Contains(got, ":b.example.com:28:") {
		t.Errorf("got %q", got)
	}
	target.Close()
	if left, _ := filepath.Glob(filepath.Join(root, ".data.??????????.*")); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// TestSectionThatNobodyImported: an empty store removes lines, and says so once.
func TestSectionThatNobodyImported(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "data"), zone+sectionStart+"\n+old.example.com:192.0.2.1\n"+sectionEnd+"\n")
	var log bytes.Buffer
	o := sectionOptions(root)
	o.Logger = publishing.LogTo(&log)
	target := newTarget(t, o)
	serve(t, target, true)
	serve(t, target, true)
	if said := log.String(); strings.Count(said, "level=WARN") != 1 || !strings.Contains(said, "dnsgate import section") || !strings.Contains(said, "lines=1") {
		t.Errorf("the log says\n%s", said)
	}
}

func TestBadMarkersChangeNothing(t *testing.T) {
	for name, c := range map[string]struct{ data, says string }{
		"none":       {zone, ":3: there is no line \"# start"},
		"no end":     {zone + sectionStart + "\n", ":4: there is no line \"# end"},
		"no start":   {zone + sectionEnd + "\n", ":4: there is no line \"# start"},
		"two starts": {sectionStart + "\n" + emptySection, ":2: a second line \"# start dynamic dns entries\"; the first is line 1"},
		"two ends":   {emptySection + zone + sectionEnd, ":5: a second line \"# end"},
		"reversed":   {sectionEnd + "\n" + zone + sectionStart, ":4: the line \"# start dynamic dns entries\" comes after"},
		"not whole":  {"#" + sectionStart + "\n" + sectionEnd + "!\n", ":3: there is no line"},
		"empty":      {"", ":1: there is no line"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			data := filepath.Join(root, "data")
			write(t, data, c.data)
			target := newTarget(t, sectionOptions(root))
			err := target.Publish(context.Background(), []records.Host{hostWith("a.example.com", "203.0.113.1")}, true)
			if err == nil || !strings.Contains(err.Error(), data+c.says) {
				t.Errorf("got %v", err)
			}
			if read(t, data) != c.data {
				t.Error("the file changed")
			}
		})
	}
}

// TestSectionTouchesNothingElse: random files, random changes.
func TestSectionTouchesNothingElse(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		root := t.TempDir()
		data := filepath.Join(root, "data")
		before, after := randomText(random), randomText(random)
		if n := len(before); n > 0 && before[n-1] != '\n' {
			before += "\n"
		}
		head, tail := before+sectionStart+"\n", sectionEnd
		if after != "" {
			tail += "\n" + after
		}
		write(t, data, head+randomLines(random)+tail)
		w := newSectionWriter(data, tinydns.Stock, publishing.Quiet())
		for range 10 {
			if _, err := w.write(context.Background(), publish.OnePiece([]records.Host{randomHost(random)}), random.IntN(4) == 0); err != nil {
				t.Fatal(err)
			}
			got := read(t, data)
			if !strings.HasPrefix(got, head) || !strings.HasSuffix(got, tail) {
				t.Fatalf("%q\nbecame %q", head+tail, got)
			}
		}
	}
}

// randomText is any bytes but a marker.
func randomText(random *rand.Rand) string {
	b := make([]byte, random.IntN(200))
	for i := range b {
		b[i] = "ab.:=+-\n\n\r\t #\x00\xff1"[random.IntN(16)]
	}
	return string(b)
}

func randomLines(random *rand.Rand) string {
	var lines bytes.Buffer
	for i := range random.IntN(5) {
		fmt.Fprintf(&lines, "+h%d.example.com:192.0.2.%d\n", i, random.IntN(256))
	}
	return lines.String()
}

func BenchmarkSection(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			root := b.TempDir()
			write(b, filepath.Join(root, "data"), emptySection+zone)
			benchmarkTarget(b, newTarget(b, sectionOptions(root)), n)
		})
	}
}

// TestSectionAgainWithoutADifference: a round that changes nothing leaves nothing behind
// that spoils the next one.
func TestSectionAgainWithoutADifference(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "data")
	write(t, data, zone+emptySection)
	target := newTarget(t, sectionOptions(root))
	hosts := make([]records.Host, 40_000)
	for i := range hosts {
		hosts[i] = hostWith(fmt.Sprintf("h%05d.example.com", i), "203.0.113.1")
	}
	change := func(i int, addr string) {
		hosts[i] = hostWith(string(hosts[i].Name), addr)
		serve(t, target, false, hosts[i])
	}
	serve(t, target, true, hosts...)
	change(7, "203.0.113.2")
	change(8, "203.0.113.3")
	serve(t, target, true, hosts...)
	change(9, "203.0.113.100")
	want := zone + sectionStart + "\n" + string(appendLines(nil, tinydns.Stock, hosts)) + sectionEnd + "\n"
	if read(t, data) != want {
		t.Error("the file has other lines")
	}
	checkDatabase(t, root, "data")
}
