package datafile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/tinydns"

	"golang.org/x/sys/unix"
)

// database is the file that tinydns reads, in its root.
const database = "data.cdb"

// compiler builds data.cdb itself: the sources in order, then dnsgate's lines.
type compiler struct {
	root    string
	file    *durable.Pair
	sources *sources
	lines   *tinydns.Builder // the content of the database
	written bool             // by this process
	serial  int64            // of what this process wrote last
	stale   bool             // sources changed since the last build

	parts []*tinydns.Part // the sources; dnsgate's lines have no zones
	zoned bool            // zones are those of parts
	zones atomic.Pointer[tinydns.Cuts]

	current bool             // the database is the one of the last Changes
	changes []tinydns.Extent // everything in which this one differs from the one before
	known   bool             // changes are known
}

func newCompiler(root string, from *sources, lines *tinydns.Builder) *compiler {
	c := &compiler{root: root, sources: from, lines: lines}
	c.file = durable.NewPair(c.path(), 0o644)
	return c
}

func (c *compiler) path() string { return filepath.Join(c.root, database) }

func (c *compiler) sweep() { durable.Sweep(c.path()) }

func (c *compiler) close() { c.file.Close() }

func (c *compiler) cuts() (*tinydns.Cuts, error) {
	if zones := c.zones.Load(); zones != nil {
		return zones, nil
	}
	return nil, fmt.Errorf("%s is not built yet", c.path())
}

func (c *compiler) build(ctx context.Context, written []string, begun []*draft, whole bool) error {
	f, err := c.next(ctx, written, begun, whole)
	if f != nil {
		begun = append(begun, &draft{File: f})
	}
	if commitErr := commit(begun); err != nil || commitErr != nil {
		c.stale = c.stale || commitErr != nil // it may be there, and not durable
		return errors.Join(err, commitErr)
	}
	c.current = c.current || f != nil
	c.written, c.stale = true, false
	if !c.zoned {
		c.zones.Store(tinydns.CutsOf(c.parts))
		c.zoned = true
	}
	return nil
}

// next begins the next database, or returns nil if the present one is right.
func (c *compiler) next(ctx context.Context, written []string, begun []*draft, whole bool) (*durable.File, error) {
	parts, changed, err := c.sources.load(ctx, begun)
	if err != nil {
		return nil, err
	}
	if changed {
		c.lines.SetSources(parts, nil)
		c.parts, c.zoned = parts, false
	}
	c.stale = c.stale || changed
	if len(written) == 0 && !c.stale && !whole && c.written && c.intact() {
		return nil, nil
	}
	return c.write(whole)
}

// intact reports whether the database is still the one that was made last.
func (c *compiler) intact() bool { return c.file.Intact() }

// write writes the next database, unless the present one has the same content. With
// again set, and if this process wrote before, it writes in any case.
func (c *compiler) write(again bool) (*durable.File, error) {
	current := c.current && !again
	c.current = false // until it is committed
	last, err := c.lastSerial()
	if err != nil {
		return nil, err
	}
	if (again || !c.written) && last > 0 {
		f, same, err := c.rewrite(last)
		switch {
		case err != nil:
			return nil, err
		case same && c.written: // an operator asked for it
			c.known = false
			return f, nil
		case same:
			f.Abort()
			return nil, c.file.Note()
		}
	}
	last = max(last, c.serial) // the file may have vanished
	c.serial = c.nextSerial(last)
	changes, told := c.lines.Changes(uint32(c.serial))
	told = told && current
	lacks, known := slices.Concat(c.changes, changes), told && c.known
	c.changes, c.known = changes, told
	if known {
		if f := c.file.Reuse(); f != nil {
			return c.complete(f, c.serial, patch(f, lacks))
		}
	}
	return c.create(c.serial)
}

// patch makes the version before the last one the next one.
func patch(f *durable.File, lacks []tinydns.Extent) error {
	for _, e := range lacks {
		if _, err := f.WriteAt(e.Data, e.At); err != nil {
			return err
		}
	}
	return nil
}

// rewrite writes the database with the serial of the present one. If that makes the
// same bytes, nothing has changed, and the serial need not grow. Otherwise it returns
// no file.
func (c *compiler) rewrite(serial int64) (f *durable.File, same bool, err error) {
	f, err = c.create(serial)
	if err != nil {
		return nil, false, err
	}
	same, err = sameContent(c.path(), func(w io.Writer) error {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := io.CopyBuffer(w, struct{ io.Reader }{f}, make([]byte, 256<<10))
		return err
	})
	if err != nil || !same {
		f.Abort()
		return nil, false, err
	}
	return f, true, nil
}

// create writes the whole database to a new file.
func (c *compiler) create(serial int64) (*durable.File, error) {
	f, err := c.file.Create()
	if err != nil {
		return nil, err
	}
	return c.complete(f, serial, c.lines.WriteDatabase(f.File, uint32(serial)))
}

// complete gives f its modification time, which is the serial: the next run reads it
// there, as with tinydns-data. err is the result of writing f.
func (c *compiler) complete(f *durable.File, serial int64, err error) (*durable.File, error) {
	if err == nil {
		at := unix.NsecToTimeval(serial * 1e9)
		err = unix.Futimes(int(f.Fd()), []unix.Timeval{at, at})
	}
	if err != nil {
		f.Abort()
		return nil, fmt.Errorf("replacing %s: %w", f.Path(), err)
	}
	return f, nil
}

// lastSerial is the serial of the database that is there, or 0.
func (c *compiler) lastSerial() (int64, error) {
	info, err := os.Stat(c.path())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return serialOf(info.ModTime().Unix()), nil
}

// nextSerial is later than the last one, whatever the clock says. tinydns-data takes
// the time of a source; the serial does not go back behind that either. After the last
// number it begins with the time again, which is later in the order of serials (RFC
// 1982 section 3.2).
func (c *compiler) nextSerial(last int64) int64 {
	next := max(time.Now().Unix(), last+1, serialOf(c.sources.newest()))
	if next > math.MaxUint32 {
		return time.Now().Unix()
	}
	return next
}

// serialOf is the serial that a time means, or 0 if it cannot be one.
func serialOf(seconds int64) int64 {
	if seconds < 0 || seconds > math.MaxUint32 {
		return 0
	}
	return seconds
}
