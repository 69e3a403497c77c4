package datafile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// TestHistory: after random changes of hosts and random edits of the operator, data file,
// database and refused hosts are those that a writer makes which knows nothing from
// before. What somebody holds of an earlier version stays as it was.
func TestHistory(t *testing.T) {
	for _, mode := range []string{"section", "rewrite"} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(mode, " ", seed), func(t *testing.T) { history(t, mode, seed) })
		}
	}
}

func history(t *testing.T, mode string, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 9))
	root := t.TempDir()
	data := filepath.Join(root, "data")
	text := zone + emptySection
	for i := range 8 {
		text += fmt.Sprintf("+steady%d.example.com:192.0.2.1\n", i)
	}
	for range 60 {
		text += randomLine(random) + "\n"
	}
	write(t, data, text)
	o := Options{Root: root, Write: mode, Path: "data", Sources: []string{"data"}}
	target := newTarget(t, o)
	all := make(map[records.Name]records.Host)
	var held []heldVersion
	var inodes [2]uint64 // that the file had last
	reused := 0
	for round := range 120 {
		switch random.IntN(12) {
		case 0, 1:
			operatorEdits(t, random, data)
			held, text = nil, read(t, data)
		case 2:
			held = append(held, hold(t, random, data, round))
		}
		var hosts []records.Host
		for range random.IntN(4) {
			h := randomHost(random)
			if random.IntN(2) == 0 {
				h = hostWith(fmt.Sprintf("steady%d.example.com", random.IntN(8)), fmt.Sprintf("203.0.113.%d", random.IntN(256)))
			}
			hosts, all[h.Name] = append(hosts, h), h
		}
		before := []byte(text)
		hosts = newest(hosts)
		err := target.Publish(context.Background(), hosts, round == 0)
		var refused publish.HostErrors
		if err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
		want, wantRefused := fromScratch(t, o, before, slices.Collect(maps.Values(all)))
		text = string(want)
		if fmt.Sprint(refused) != fmt.Sprint(wantRefused) {
			t.Fatalf("round %d: refused are %v, not %v", round, refused, wantRefused)
		}
		if random.IntN(3) == 0 { // in the other rounds nobody opens the file
			if got := read(t, data); got != text {
				t.Fatalf("round %d: the file is\n%s\nnot\n%s\nfrom\n%s", round, got, text, before)
			}
			checkDatabase(t, root, "data")
			for _, h := range held {
				h.check(t)
			}
		}
		at, err := durable.StampAt(data)
		if err != nil {
			t.Fatal(err)
		}
		if at.Ino == inodes[0] && at.Ino != inodes[1] {
			reused++
		}
		inodes = [2]uint64{inodes[1], at.Ino}
	}
	if reused < 5 {
		t.Errorf("of 120 versions %d were made of earlier ones", reused)
	}
}

// heldVersion is a version of a file that has another name, or that somebody has open.
type heldVersion struct {
	name    string // "": file
	file    *os.File
	content string
}

func hold(t *testing.T, random *rand.Rand, path string, round int) heldVersion {
	h := heldVersion{content: read(t, path)}
	var err error
	if random.IntN(2) == 0 {
		h.name = fmt.Sprintf("%s.held%d", path, round)
		err = os.Link(path, h.name)
	} else {
		h.file, err = os.Open(path)
		t.Cleanup(func() { h.file.Close() })
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h heldVersion) check(t *testing.T) {
	t.Helper()
	got := ""
	if h.file == nil {
		got = read(t, h.name)
	} else if all, err := io.ReadAll(io.NewSectionReader(h.file, 0, 1<<30)); err == nil {
		got = string(all)
	}
	if got != h.content {
		t.Fatal("what somebody holds of an earlier version has changed")
	}
}

// fromScratch is what a new writer makes of the text before.
func fromScratch(t *testing.T, o Options, before []byte, hosts []records.Host) ([]byte, publish.HostErrors) {
	if o.Write == "section" {
		w := newSectionWriter("data", tinydns.Stock, nil)
		if err := w.lines.Apply(ownersOf(hosts)); err != nil {
			t.Fatal(err)
		}
		text, err := w.change(before, nil)
		if err != nil {
			t.Fatal(err)
		}
		return text, nil
	}
	w := newRewriteWriter(filepath.Join(o.Root, "data"), "", nil)
	if err := w.remember(nil); err != nil { // reads what the target has noted
		t.Fatal(err)
	}
	for _, h := range hosts {
		w.put(h)
	}
	text, err := w.change(before, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.look(nil, true)
	return text, w.refused
}

// operatorEdits is an edit by somebody else, in place or with a new file.
func operatorEdits(t *testing.T, random *rand.Rand, path string) {
	lines := strings.SplitAfter(read(t, path), "\n")
	end := slices.Index(lines, sectionEnd+"\n") + 1
	for range 1 + random.IntN(3) {
		i := end + random.IntN(len(lines)-end)
		switch random.IntN(4) {
		case 0:
			lines = slices.Delete(lines, i, i+1)
		case 1:
			lines = slices.Insert(lines, i, randomLine(random)+"\n")
		case 2:
			lines[i] = randomLine(random) + "\n"
		case 3:
			lines[i] = strings.ReplaceAll(lines[i], "1", "2") // the same length
		}
	}
	text := []byte(strings.Join(lines, ""))
	if bytes.Equal(text, []byte(read(t, path))) {
		return
	}
	switch random.IntN(3) {
	case 0:
		write(t, path, string(text))
		return
	case 1: // in place, and as if nothing had happened
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, string(text))
		if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
			t.Fatal(err)
		}
		return
	}
	write(t, path+".new", string(text))
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
