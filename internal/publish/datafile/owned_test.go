package datafile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dnsgate/internal/durable"
	"dnsgate/test/publishing"
)

// writers are all ways to write, each with a root that it can write to, and the
// files in it that it owns, in part at least.
var writers = map[string][]string{
	"file":    {"dnsgate"},
	"section": {"data"},
	"rewrite": {"data"},
	"hosts":   {"hosts/a.example.com", "hosts/b.example.com"},
}

// TestOwnerAndModeStay: also those of data.cdb.
func TestOwnerAndModeStay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving files away needs root")
	}
	for how, owned := range writers {
		t.Run(how, func(t *testing.T) {
			root := crashRoot(t)
			target := newTarget(t, crashOptions(root, how))
			serve(t, target, true, crashBefore...)
			paths := append([]string{"data.cdb"}, owned...)
			for i, path := range paths {
				path = filepath.Join(root, path)
				if err := os.Chown(path, 4321+i, 1234+i); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(path, 0o604); err != nil {
					t.Fatal(err)
				}
			}
			serve(t, target, false, hostWith("a.example.com", "203.0.113.11"), hostWith("b.example.com", "203.0.113.12"))
			for i, path := range paths {
				info, err := os.Stat(filepath.Join(root, path))
				if err != nil {
					t.Fatal(err)
				}
				st := info.Sys().(*syscall.Stat_t)
				if info.Mode() != 0o604 || int(st.Uid) != 4321+i || int(st.Gid) != 1234+i {
					t.Errorf("%s has mode %v, owner %d:%d", path, info.Mode(), st.Uid, st.Gid)
				}
			}
			if !strings.Contains(snapshot(t, root), "203.0.113.12") {
				t.Error("the update is not there")
			}
		})
	}
}

// TestOtherFilesStay: random files beside dnsgate's, random changes. No byte,
// no time and no inode of another file changes.
func TestOtherFilesStay(t *testing.T) {
	for how, owned := range writers {
		t.Run(how, func(t *testing.T) {
			random := rand.New(rand.NewPCG(9, 10))
			root := crashRoot(t)
			for i := range 10 {
				write(t, filepath.Join(root, fmt.Sprintf("%d.zone", i)), randomText(random))
				write(t, filepath.Join(root, "hosts", fmt.Sprintf("o%d.example.com", i)), randomText(random))
				write(t, filepath.Join(root, "hosts", fmt.Sprintf(".h%d.example.com", i)), randomText(random))
			}
			ours := map[string]bool{"data.cdb": true}
			for _, path := range owned {
				ours[path] = true
			}
			before := stamps(t, root, ours)
			target := newTarget(t, crashOptions(root, how))
			serve(t, target, true, crashBefore...)
			for range 20 {
				for _, h := range crashBefore {
					h = hostWith(string(h.Name), fmt.Sprintf("203.0.113.%d", random.IntN(256)))
					serve(t, target, random.IntN(4) == 0, crashBefore[0], crashBefore[1], h)
				}
			}
			after := stamps(t, root, ours)
			for path, was := range before {
				if after[path] != was {
					t.Errorf("%s changed", path)
				}
			}
			if len(after) > len(before)+4 { // the lock, a ledger, and what was before
				t.Errorf("there were %d files, now there are %d", len(before), len(after))
			}
		})
	}
}

// stamps are those of all regular files below a folder, but for some.
func stamps(t *testing.T, root string, except map[string]bool) map[string]durable.Stamp {
	t.Helper()
	all := make(map[string]durable.Stamp)
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err == nil && !except[name] {
			all[name], err = durable.StampAt(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRebuildRepairs: an operator's rebuild writes everything anew, whatever
// became of the files.
func TestRebuildRepairs(t *testing.T) {
	for how, owned := range writers {
		t.Run(how, func(t *testing.T) {
			root := crashRoot(t)
			s := publishing.NewTruth()
			set := publishing.Run(t, s, newTarget(t, crashOptions(root, how)))
			s.Set("a.example.com", "203.0.113.1")
			s.Set("b.example.com", "203.0.113.2")
			rebuild := func() {
				t.Helper()
				if err := set.Rebuild(publishing.Patience(t)); err != nil {
					t.Fatal(err)
				}
			}
			rebuild()
			want := make(map[string]string)
			for _, path := range append([]string{"data.cdb"}, owned...) {
				want[path] = read(t, filepath.Join(root, path))
			}
			check := func(what string) {
				t.Helper()
				rebuild()
				for path, content := range want {
					got := read(t, filepath.Join(root, path))
					if path == "data.cdb" { // the serial in it may have grown
						if len(got) != len(content) || !strings.Contains(got, "\xcb\x00\x71\x02") {
							t.Errorf("%s: data.cdb is not whole again", what)
						}
					} else if got != content {
						t.Errorf("%s: %s holds\n%s\nnot\n%s", what, path, got, content)
					}
				}
			}
			for what, damage := range map[string]func(path string) error{
				"removed":     os.Remove,
				"truncated":   func(path string) error { return os.Truncate(path, 0) },
				"overwritten": func(path string) error { return os.WriteFile(path, []byte("+x.example.com:192.0.2.9\n"), 0o644) },
			} {
				if err := damage(filepath.Join(root, "data.cdb")); err != nil {
					t.Fatal(err)
				}
				check("data.cdb " + what)
				if how == "section" || how == "rewrite" { // of the operator's, dnsgate has no copy
					write(t, filepath.Join(root, "data"), strings.ReplaceAll(want["data"], "203.0.113.", "192.0.2."))
					check("changed")
					continue
				}
				for _, path := range owned {
					if err := damage(filepath.Join(root, path)); err != nil {
						t.Fatal(err)
					}
				}
				check(what)
			}
		})
	}
}

// TestAConflictIsKept: two editors save between two steps of the exchange, one
// in place and one by a rename. The file goes on with the first one's version;
// the other one's stays beside it, and an error in the log names it.
func TestAConflictIsKept(t *testing.T) {
	for _, how := range []string{"section", "rewrite"} {
		t.Run(how, func(t *testing.T) {
			root := crashRoot(t)
			data := filepath.Join(root, "data")
			var log bytes.Buffer
			o := crashOptions(root, how)
			o.Logger = publishing.LogTo(&log)
			target := newTarget(t, o)
			serve(t, target, true, crashBefore...)
			before := read(t, data)

			var editing *os.File
			durable.Step = func(step, path string) {
				var err error
				switch {
				case step == Prepared && editing == nil:
					editing, err = os.OpenFile(data, os.O_WRONLY|os.O_APPEND, 0)
				case step == Exchanged:
					durable.Step = nil
					editing.WriteString("+first.example.com:192.0.2.1\n")
					editing.Close()
					write(t, data+".new", before+"+second.example.com:192.0.2.2\n")
					err = os.Rename(data+".new", data)
				}
				if err != nil {
					t.Error(err)
				}
			}
			defer func() { durable.Step = nil }()
			serve(t, target, false, crashAfter[0])

			if got := read(t, data); !strings.Contains(got, "+first.example.com:192.0.2.1\n") || !strings.Contains(got, "203.0.113.11") {
				t.Errorf("the file holds\n%s", got)
			}
			kept, _ := filepath.Glob(filepath.Join(root, ".data.*"+keptSuffix))
			if len(kept) != 1 || read(t, kept[0]) != before+"+second.example.com:192.0.2.2\n" {
				t.Fatalf("kept are %v", kept)
			}
			if said := log.String(); !strings.Contains(said, "level=ERROR") || !strings.Contains(said, "file="+data) || !strings.Contains(said, "kept="+kept[0]) {
				t.Errorf("the log says\n%s", said)
			}
		})
	}
}

// TestAnOverlookedChangeIsKept: an editor renames his version over the file
// when dnsgate has looked at it for the last time. While it is not there again,
// another one reads the file; what he saves has not the first one's change, so
// that version is kept. If nobody reads, nothing is kept.
func TestAnOverlookedChangeIsKept(t *testing.T) {
	for _, reads := range []bool{false, true} {
		t.Run(fmt.Sprint("reads ", reads), func(t *testing.T) {
			root := crashRoot(t)
			data := filepath.Join(root, "data")
			var log bytes.Buffer
			o := crashOptions(root, "section")
			o.Logger = publishing.LogTo(&log)
			target := newTarget(t, o)
			serve(t, target, true, crashBefore...)
			first := read(t, data) + "+first.example.com:192.0.2.1\n"
			var second string
			durable.Step = func(step, path string) {
				if step != Exchanged {
					return
				}
				durable.Step = nil
				swaps, _ := filepath.Glob(filepath.Join(root, ".data.*"+swapSuffix))
				if len(swaps) != 1 {
					t.Fatalf("waiting are %v", swaps)
				}
				write(t, data+".new", first) // as if it had been there when the two were exchanged
				if err := os.Rename(data+".new", swaps[0]); err != nil {
					t.Error(err)
				}
				if reads {
					second = read(t, data) + "+second.example.com:192.0.2.2\n"
				}
			}
			defer func() { durable.Step = nil }()
			serve(t, target, false, crashAfter[0])
			if got := read(t, data); !strings.Contains(got, "+first.") || !strings.Contains(got, "203.0.113.11") {
				t.Errorf("the file holds\n%s", got)
			}
			kept, _ := filepath.Glob(filepath.Join(root, ".data.*"+keptSuffix))
			if !reads {
				if len(kept) > 0 || strings.Contains(log.String(), "level=ERROR") {
					t.Errorf("kept are %v, the log says\n%s", kept, log.String())
				}
				return
			}
			write(t, data, second)
			serve(t, target, false, crashAfter[0])
			if got := read(t, data); strings.Contains(got, "+first.") {
				t.Errorf("the second one had the first one's change already\n%s", got)
			}
			if len(kept) != 1 || read(t, kept[0]) != first {
				t.Fatalf("kept are %v", kept)
			}
			if said := log.String(); !strings.Contains(said, "level=ERROR") || !strings.Contains(said, "kept="+kept[0]) {
				t.Errorf("the log says\n%s", said)
			}
		})
	}
}
