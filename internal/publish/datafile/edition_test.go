package datafile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/test/publishing"
)

// TestEditionUntouched: whoever could have written to a version of dnsgate's is noticed,
// whatever the file's times say afterwards.
func TestEditionUntouched(t *testing.T) {
	for name, touch := range map[string]func(path string) error{
		"nobody":  func(string) error { return nil },
		"a look":  func(path string) error { _, err := os.Stat(path); return err },
		"a link":  func(path string) error { return os.Link(path, path+".link") },
		"a move":  func(path string) error { return os.Rename(path, path+".new") },
		"reader":  func(path string) error { _, err := os.ReadFile(path); return err },
		"writer":  func(path string) error { return os.WriteFile(path, []byte("text"), 0) },
		"shorter": func(path string) error { return os.Truncate(path, 2) },
		"by another name": func(path string) error {
			if err := os.Link(path, path+".link"); err != nil {
				return err
			}
			return os.WriteFile(path+".link", []byte("text"), 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data")
			write(t, path, "text")
			var watching opens
			defer watching.close()
			e, err := newEdition(path, []byte("text"), &watching)
			if err != nil {
				t.Fatal(err)
			}
			defer e.close()
			if err := touch(path); err != nil {
				t.Fatal(err)
			}
			harmless := name == "nobody" || name == "a look" || name == "a link" || name == "a move"
			if e.untouched() != harmless {
				t.Errorf("untouched is %v", !harmless)
			}
		})
	}
}

func TestEditionNotWatched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	write(t, path, "text")
	watching := opens{fd: -1} // as where the kernel grants no watch
	e, err := newEdition(path, []byte("text"), &watching)
	if err != nil {
		t.Fatal(err)
	}
	defer e.file.Close()
	if e.watch != noWatch || e.untouched() {
		t.Error("nobody is watching, and it is untouched")
	}
}

// edited runs test with each writer that edits an operator's file, after two rounds.
func edited(t *testing.T, test func(t *testing.T, root string, target *Target)) {
	for _, how := range []string{"section", "rewrite"} {
		t.Run(how, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, "data"), zone+emptySection+"+a.example.com:192.0.2.1\n+operator.example.com:192.0.2.1\n")
			o := sectionOptions(root)
			o.Write, o.Logger = how, publishing.Quiet()
			target := newTarget(t, o)
			serve(t, target, true, hostWith("a.example.com", "203.0.113.1"))
			serve(t, target, false, hostWith("a.example.com", "203.0.113.2"))
			test(t, root, target)
		})
	}
}

// operatorEdit changes a byte of the file in place.
func operatorEdit(t *testing.T, root string) {
	data := filepath.Join(root, "data")
	write(t, data, strings.Replace(read(t, data), "operator.example.com:192.0.2.1", "operator.example.com:192.0.2.9", 1))
}

// keepsTheEdit publishes once more, and looks for what operatorEdit changed.
func keepsTheEdit(t *testing.T, root string, target *Target) {
	t.Helper()
	serve(t, target, false, hostWith("a.example.com", "203.0.113.4"))
	if got := read(t, filepath.Join(root, "data")); !strings.Contains(got, "+operator.example.com:192.0.2.9\n") || !strings.Contains(got, "203.0.113.4") {
		t.Errorf("the operator's change is lost:\n%s", got)
	}
	checkDatabase(t, root, "data")
}

// TestNothingNew: a round without news leaves what dnsgate itself wrote.
func TestNothingNew(t *testing.T) {
	edited(t, func(t *testing.T, root string, target *Target) {
		data, cdb := inodeOf(t, root, "data"), inodeOf(t, root, "data.cdb")
		for _, readers := range []bool{false, true} {
			if readers {
				read(t, filepath.Join(root, "data"))
			}
			serve(t, target, false)
			if inodeOf(t, root, "data") != data || inodeOf(t, root, "data.cdb") != cdb {
				t.Errorf("readers %v: the files were made again", readers)
			}
		}
	})
}

// TestACoarseClockLosesNoEdit: an operator changes a byte in place within a tick of the
// clock in which dnsgate wrote the file, so that its stamp stays the same. Some disks keep
// whole seconds.
func TestACoarseClockLosesNoEdit(t *testing.T) {
	edited(t, func(t *testing.T, root string, target *Target) {
		operatorEdit(t, root)
		now, err := durable.StampAt(filepath.Join(root, "data"))
		if err != nil {
			t.Fatal(err)
		}
		var file *operatorFile
		switch w := target.writer.(type) {
		case *sectionWriter:
			file = &w.file
		case *rewriteWriter:
			file = &w.file
		}
		file.present.stamp, file.last = now, now
		keepsTheEdit(t, root, target)
	})
}

// TestAnEditRightAfterTheExchange: an editor changes bytes in place as soon as the new
// version is there, of dnsgate's lines too, and restores its time. The next round notices.
func TestAnEditRightAfterTheExchange(t *testing.T) {
	edited(t, func(t *testing.T, root string, target *Target) {
		data := filepath.Join(root, "data")
		durable.Step = func(step, _ string) {
			if step != Exchanged {
				return
			}
			durable.Step = nil
			info, err := os.Stat(data)
			if err != nil {
				t.Error(err)
				return
			}
			operatorEdit(t, root)
			write(t, data, strings.Replace(read(t, data), "203.0.113.3", "203.0.113.9", 1))
			if err := os.Chtimes(data, time.Time{}, info.ModTime()); err != nil {
				t.Error(err)
			}
		}
		defer func() { durable.Step = nil }()
		serve(t, target, false, hostWith("a.example.com", "203.0.113.3"))
		serve(t, target, false)
		if got := read(t, data); !strings.Contains(got, "203.0.113.3") {
			t.Errorf("dnsgate's line is still\n%s", got)
		}
		checkDatabase(t, root, "data")
		keepsTheEdit(t, root, target)
	})
}

// TestAVersionThatCannotWaitIsRemoved: the new version cannot get its name for the exchange.
func TestAVersionThatCannotWaitIsRemoved(t *testing.T) {
	root := crashRoot(t)
	target := newTarget(t, crashOptions(root, "section"))
	serve(t, target, true, crashBefore...)
	swap := ""
	durable.Step = func(step, path string) {
		if step != durable.Synced || filepath.Base(path) != "data" {
			return
		}
		durable.Step = nil
		temps, _ := filepath.Glob(filepath.Join(root, ".data.??????????.tmp"))
		if len(temps) != 1 {
			t.Errorf("waiting are %v", temps)
			return
		}
		swap = strings.TrimSuffix(temps[0], ".tmp") + swapSuffix
		if err := os.Mkdir(swap, 0o755); err != nil { // so that rename fails
			t.Error(err)
		}
	}
	defer func() { durable.Step = nil }()
	if err := target.Publish(t.Context(), crashAfter, false); err == nil {
		t.Error("published")
	}
	os.Remove(swap)
	serve(t, target, false, crashAfter...)
	target.Close()
	if left, _ := filepath.Glob(filepath.Join(root, ".data.*")); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// TestALongName: the names beside a file fit, however long its own is.
func TestALongName(t *testing.T) {
	root := t.TempDir()
	name := strings.Repeat("d", 255)
	write(t, filepath.Join(root, name), zone+emptySection)
	o := sectionOptions(root)
	o.Path, o.Sources, o.Logger = name, []string{name}, publishing.Quiet()
	target := newTarget(t, o)
	serve(t, target, true, hostWith("a.example.com", "203.0.113.1"))
	serve(t, target, false, hostWith("a.example.com", "203.0.113.2"))
}
