package faults

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// disk is a model of a file system as POSIX leaves it to be: a write is on
// disk for certain only once fsync of that file returned, a name only once
// fsync of its folder did. Until then each sector, and each name, is on disk
// in any of the versions that it had since. After an fsync that failed the
// kernel takes the pages for clean (and later ones do not write them), so only
// writing them again brings them to the disk.
type disk struct {
	base string // the path of the folder that it models
	root *node
}

const sector = 512

type node struct {
	isDir   bool
	names   map[string]*slot[*node] // of a folder; nil: no such name
	sectors map[int64]*slot[[]byte] // of a file; nil: zeros
	size    slot[int64]

	position int64 // where write(2) goes next
}

// slot is something that is on disk in one version, and perhaps in a later one.
type slot[T any] struct {
	durable T
	later   []T
	doomed  bool // the last of later was lost by a failed fsync
}

func (s *slot[T]) now() T {
	if len(s.later) > 0 {
		return s.later[len(s.later)-1]
	}
	return s.durable
}

func (s *slot[T]) set(v T) { s.later, s.doomed = append(s.later, v), false }

func (s *slot[T]) sync() {
	if !s.doomed {
		s.durable, s.later = s.now(), nil
	}
}

// after is the version that is on disk after a crash.
func (s *slot[T]) after(c crash) T {
	return c.pick(len(s.later), func(i int) any {
		if i == 0 {
			return s.durable
		}
		return s.later[i-1]
	}).(T)
}

// crash chooses among versions.
type crash struct {
	name string
	pick func(later int, version func(int) any) any
}

func crashes(random int, rng *rand.Rand) []crash {
	all := []crash{
		{"all that was not synced is lost", func(_ int, v func(int) any) any { return v(0) }},
		{"nothing is lost", func(n int, v func(int) any) any { return v(n) }},
	}
	for range random {
		all = append(all, crash{"some sectors and names are lost", func(n int, v func(int) any) any { return v(rng.IntN(n + 1)) }})
	}
	return all
}

func newFolder() *node { return &node{isDir: true, names: map[string]*slot[*node]{}} }
func newFile() *node   { return &node{sectors: map[int64]*slot[[]byte]{}} }

// newDisk models the folder at base, all of which is on disk.
func newDisk(t *testing.T, base string) *disk {
	t.Helper()
	d := &disk{base, newFolder()}
	err := filepath.WalkDir(base, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == base {
			return err
		}
		n := newFolder()
		if !e.IsDir() {
			n = newFile()
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			n.write(0, content)
			n.sync()
		}
		d.link(path, n)
		d.at(filepath.Dir(path)).sync()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// at is the node that a path names now, or nil.
func (d *disk) at(path string) *node {
	rel, ok := strings.CutPrefix(path, d.base)
	if !ok {
		return nil
	}
	n := d.root
	for name := range strings.SplitSeq(strings.Trim(rel, "/"), "/") {
		if name == "" {
			continue
		}
		if n == nil || n.names[name] == nil {
			return nil
		}
		n = n.names[name].now()
	}
	return n
}

// link makes path name n; nil takes the name away.
func (d *disk) link(path string, n *node) {
	folder := d.at(filepath.Dir(path))
	if folder == nil {
		return
	}
	name := filepath.Base(path)
	if folder.names[name] == nil {
		folder.names[name] = &slot[*node]{}
	}
	folder.names[name].set(n)
}

func (n *node) write(offset int64, data []byte) {
	for len(data) > 0 {
		i, at := offset/sector, offset%sector
		part := data[:min(int64(len(data)), sector-at)]
		s := n.sectors[i]
		if s == nil {
			s = &slot[[]byte]{durable: make([]byte, sector)}
			n.sectors[i] = s
		}
		content := bytes.Clone(s.now())
		copy(content[at:], part)
		s.set(content)
		offset, data = offset+int64(len(part)), data[len(part):]
	}
	if offset > n.size.now() {
		n.size.set(offset)
	}
}

func (n *node) sync() {
	if n.isDir {
		for _, s := range n.names {
			s.sync()
		}
		return
	}
	n.size.sync()
	for _, s := range n.sectors {
		s.sync()
	}
}

// failSync is an fsync that returned an error.
func (n *node) failSync() {
	for _, s := range n.sectors {
		s.doomed = len(s.later) > 0
	}
}

// content is that of a file now.
func (n *node) content() []byte {
	return n.contentAfter(crash{pick: func(n int, v func(int) any) any { return v(n) }})
}

func (n *node) contentAfter(c crash) []byte {
	size := n.size.after(c)
	content := make([]byte, size)
	for _, i := range n.written() {
		if i*sector < size {
			copy(content[i*sector:], n.sectors[i].after(c))
		}
	}
	return content
}

func (n *node) written() []int64 {
	var all []int64
	for i := range n.sectors {
		all = append(all, i)
	}
	slices.Sort(all)
	return all
}

// restore writes what a crash leaves of the folder n to path.
func (n *node) restore(t *testing.T, path string, c crash) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, s := range n.names {
		switch child := s.after(c); {
		case child == nil:
		case child.isDir:
			child.restore(t, filepath.Join(path, name), c)
		default:
			child.restoreFile(t, filepath.Join(path, name), c)
		}
	}
}

// restoreFile leaves holes where nothing was written.
func (n *node) restoreFile(t *testing.T, path string, c crash) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := n.size.after(c)
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	var begins int64
	var together []byte // sectors that stand one after the other
	for _, i := range n.written() {
		if i*sector >= size {
			break
		}
		if i*sector != begins+int64(len(together)) || len(together) == 16<<10 {
			f.WriteAt(together, begins)
			begins, together = i*sector, together[:0]
		}
		together = append(together, n.sectors[i].after(c)[:min(sector, size-i*sector)]...)
	}
	f.WriteAt(together, begins)
}
