package datafile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
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

// TestHistory: after random changes of hosts and random edits of the operator, data file,
// database and refused hosts are those that a writer makes which knows nothing from
// before.
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
	for range 60 {
		text += randomLine(random) + "\n"
	}
	write(t, data, text)
	o := Options{Root: root, Write: mode, Path: "data", Sources: []string{"data"}}
	target := newTarget(t, o)
	all := make(map[records.Name]records.Host)
	for round := range 60 {
		if random.IntN(3) == 0 {
			operatorEdits(t, random, data)
		}
		var hosts []records.Host
		for range random.IntN(4) {
			h := randomHost(random)
			hosts, all[h.Name] = append(hosts, h), h
		}
		before := []byte(read(t, data))
		hosts = newest(hosts)
		err := target.Publish(context.Background(), hosts, round == 0)
		var refused publish.HostErrors
		if err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
		want, wantRefused := fromScratch(t, o, before, slices.Collect(maps.Values(all)))
		if got := read(t, data); got != string(want) {
			t.Fatalf("round %d: the file is\n%s\nnot\n%s\nfrom\n%s", round, got, want, before)
		}
		if fmt.Sprint(refused) != fmt.Sprint(wantRefused) {
			t.Fatalf("round %d: refused are %v, not %v", round, refused, wantRefused)
		}
		checkDatabase(t, root, "data")
	}
}

// fromScratch is what a new writer makes of the text before.
func fromScratch(t *testing.T, o Options, before []byte, hosts []records.Host) ([]byte, publish.HostErrors) {
	if o.Write == "section" {
		w := newSectionWriter("data", tinydns.Stock, nil)
		if err := w.lines.Apply(ownersOf(hosts)); err != nil {
			t.Fatal(err)
		}
		text, err := w.change(before)
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
	text, err := w.change(before)
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
	if random.IntN(2) == 0 {
		write(t, path, string(text))
		return
	}
	write(t, path+".new", string(text))
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
