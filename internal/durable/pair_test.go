package durable

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// put commits a version; reused says whether it is to be made of an old one.
func put(t *testing.T, p *Pair, text string) (reused bool) {
	t.Helper()
	f := p.Reuse()
	reused = f != nil
	if f == nil {
		var err error
		if f, err = p.Create(); err != nil {
			t.Fatal(err)
		}
	}
	defer f.Abort()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Cut(); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, p.path); got != text || !p.Intact() {
		t.Errorf("%q after %q, intact %v", got, text, p.Intact())
	}
	return reused
}

// newPair has two versions behind it, so that a third one can reuse the first.
func newPair(t *testing.T) *Pair {
	p := NewPair(filepath.Join(t.TempDir(), "data.cdb"), 0o644)
	t.Cleanup(p.Close)
	for i := range 2 {
		if put(t, p, fmt.Sprint("version ", i)) {
			t.Fatal("reused what nobody wrote")
		}
	}
	return p
}

func beside(t *testing.T, p *Pair) (paths []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(filepath.Dir(p.path), ".*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPairTakesTurns(t *testing.T) {
	p := newPair(t)
	if err := os.Chmod(p.path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := p.Note(); err != nil {
		t.Fatal(err)
	}
	put(t, p, "a new one, for that was not ours to keep")
	put(t, p, "and one more")
	for i := range 20 {
		if !put(t, p, strings.Repeat("x", 10000/(i+1))) {
			t.Fatal("nothing was reused")
		}
		if info, _ := os.Stat(p.path); info.Mode() != 0o640 {
			t.Errorf("mode %v", info.Mode())
		}
		if left := beside(t, p); len(left) != 1 {
			t.Fatalf("beside the file there are %v", left)
		}
	}
	p.Close()
	alone(t, p.path)
}

func TestPairReusesWhatItHadBefore(t *testing.T) {
	p := newPair(t)
	f := p.Reuse()
	if f == nil {
		t.Fatal("nothing was reused")
	}
	defer f.Abort()
	if !f.Reused() || content(t, f.Name()) != "version 0" {
		t.Errorf("it begins with %q", content(t, f.Name()))
	}
	if _, err := f.WriteAt([]byte("2"), 8); err != nil {
		t.Fatal(err)
	}
	if got := content(t, p.path); got != "version 1" {
		t.Errorf("before the commit there is %q", got)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, p.path); got != "version 2" {
		t.Errorf("after it there is %q", got)
	}
}

// A version is not written to while somebody else could see that.
func TestPairLeavesOthersAlone(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, p *Pair) (see func() string) // before version 2 replaces version 1
	}{
		{"open", func(t *testing.T, p *Pair) func() string {
			f, err := os.Open(p.path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return func() string {
				b := make([]byte, 100)
				n, _ := f.ReadAt(b, 0)
				return string(b[:n])
			}
		}},
		{"mapped", func(t *testing.T, p *Pair) func() string {
			f, err := os.Open(p.path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			b, err := syscall.Mmap(int(f.Fd()), 0, len("version 1"), syscall.PROT_READ, syscall.MAP_SHARED)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { syscall.Munmap(b) })
			return func() string { return string(bytes.Clone(b)) }
		}},
		{"linked", func(t *testing.T, p *Pair) func() string {
			other := filepath.Join(t.TempDir(), "backup")
			if err := os.Link(p.path, other); err != nil {
				t.Skip(err)
			}
			return func() string { return content(t, other) }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t)
			see := c.do(t, p)
			put(t, p, "version 2")
			for i := range 3 { // the first of these would reuse version 1
				reused := put(t, p, fmt.Sprint("version ", i+3))
				if reused && i == 0 {
					t.Error("it was reused")
				}
				if got := see(); got != "version 1" {
					t.Fatalf("what was version 1 became %q", got)
				}
			}
		})
	}
}

// A version is given up once somebody else touched it, or the file.
func TestPairGivesUp(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(p *Pair) error
	}{
		{"the version is written to", func(p *Pair) error { return os.WriteFile(p.old.path, []byte("theirs 00"), 0o644) }},
		{"the version is gone", func(p *Pair) error { return os.Remove(p.old.path) }},
		{"the version is another one", func(p *Pair) error {
			os.Remove(p.old.path)
			return os.WriteFile(p.old.path, []byte("version 0"), 0o644)
		}},
		{"the version is a link", func(p *Pair) error {
			os.Remove(p.old.path)
			return os.Symlink(p.path, p.old.path)
		}},
		{"the file is replaced", func(p *Pair) error {
			if err := os.WriteFile(p.path+".new", []byte("theirs 00"), 0o644); err != nil {
				return err
			}
			return os.Rename(p.path+".new", p.path)
		}},
		{"the file is written to", func(p *Pair) error { return os.WriteFile(p.path, []byte("theirs 00"), 0o644) }},
		{"the file is gone", func(p *Pair) error { return os.Remove(p.path) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t)
			time.Sleep(StampStep)
			if err := c.do(p); err != nil {
				t.Fatal(err)
			}
			if put(t, p, "version 2") {
				t.Error("it was reused")
			}
			put(t, p, "version 3")
			if !put(t, p, "version 4") {
				t.Error("nothing is reused ever after")
			}
			if left := beside(t, p); len(left) != 1 {
				t.Errorf("beside the file there are %v", left)
			}
		})
	}
}

// A version that was not replaced durably is not written to.
func TestPairAfterAFailure(t *testing.T) {
	p := newPair(t)
	f, err := p.Create()
	if err != nil {
		t.Fatal(err)
	}
	Step = func(step, path string) {
		if step == Renamed { // the folder cannot be synced
			f.folder.Close()
		}
	}
	err = f.Commit()
	Step = nil
	if err == nil {
		t.Fatal("committed without a folder")
	}
	if put(t, p, "version 3") {
		t.Error("it was reused")
	}
}

// Somebody who replaces the file in the moment in which a version is committed
// is noticed, and what he put there is not taken for that version.
func TestPairMeetsAnother(t *testing.T) {
	p := newPair(t)
	meanwhile(t, func() {
		theirs := p.path + ".theirs"
		os.WriteFile(theirs, []byte("theirs"), 0o644)
		os.Rename(theirs, p.path)
	})
	for i := range 200 {
		f := p.Reuse()
		if f != nil && content(t, f.Name()) == "theirs" {
			t.Fatalf("round %d: the version before is theirs", i)
		}
		if f == nil {
			var err error
			if f, err = p.Create(); err != nil {
				t.Fatal(err)
			}
		}
		f.WriteString("ours")
		f.Cut()
		if err := f.Commit(); err != nil {
			t.Fatal(err)
		}
		if p.last.Size == int64(len("theirs")) {
			t.Fatalf("round %d: theirs is taken for what was committed", i)
		}
	}
}

// Files that are committed together are all replaced.
func TestCommitTogether(t *testing.T) {
	a, b := newPair(t), newPair(t)
	var files []*File
	for _, p := range []*Pair{a, b} {
		f, err := p.Create()
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("both")
		files = append(files, f)
	}
	if err := Commit(files...); err != nil {
		t.Fatal(err)
	}
	if content(t, a.path) != "both" || content(t, b.path) != "both" {
		t.Errorf("%q, %q", content(t, a.path), content(t, b.path))
	}
	if err := Commit(); err != nil {
		t.Error("nothing: ", err)
	}
}
