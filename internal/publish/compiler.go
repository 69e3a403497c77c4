package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
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
	sources *sources
	lines   *tinydns.Builder // what the database is made of
	written bool             // by this process
	serial  int64            // of what this process wrote last
	stale   bool             // sources changed since the last build
	made    stamp            // of the database as the last build left it
}

func (c *compiler) path() string { return filepath.Join(c.root, database) }

func (c *compiler) sweep() { sweepTemps(c.path()) }

func (c *compiler) build(ctx context.Context, written []string, whole bool) error {
	parts, changed, err := c.sources.load(ctx)
	if err != nil {
		return err
	}
	if changed {
		c.lines.SetSources(parts, nil)
	}
	c.stale = c.stale || changed
	if len(written) == 0 && !c.stale && !whole && c.written && c.intact() {
		return nil
	}
	if err := c.write(whole); err != nil {
		return err
	}
	c.written, c.stale = true, false
	c.made, err = stampAt(c.path())
	return err
}

// intact reports whether the database is still the one that was made last.
func (c *compiler) intact() bool {
	now, err := stampAt(c.path())
	return err == nil && now == c.made
}

// write writes the database, unless what is there is just that. With again
// set, and if this process wrote before, it writes in any case.
func (c *compiler) write(again bool) error {
	last, err := c.lastSerial()
	if err != nil {
		return err
	}
	if (again || !c.written) && last > 0 {
		done, err := c.rewrite(last, again && c.written)
		if err != nil || done {
			return err
		}
	}
	last = max(last, c.serial) // the file may have vanished
	c.serial = c.nextSerial(last)
	f, err := c.create(c.serial)
	if err != nil {
		return err
	}
	defer f.Abort()
	return f.Commit()
}

// rewrite writes the database with the serial that it has. If that makes the
// same bytes, nothing changed, and the serial need not grow.
func (c *compiler) rewrite(serial int64, commit bool) (done bool, err error) {
	f, err := c.create(serial)
	if err != nil {
		return false, err
	}
	defer f.Abort()
	same, err := sameContent(c.path(), func(w io.Writer) error {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := io.CopyBuffer(w, struct{ io.Reader }{f}, make([]byte, 256<<10))
		return err
	})
	if err != nil || !same {
		return false, err
	}
	if commit {
		err = f.Commit()
	}
	return true, err
}

// create writes the database to a temporary file. Its modification time is
// the serial: that is how the next run knows it, as with tinydns-data.
func (c *compiler) create(serial int64) (*durable.File, error) {
	f, err := durable.Create(c.path(), 0o644)
	if err != nil {
		return nil, err
	}
	if err = c.lines.WriteDatabase(f.File, uint32(serial)); err == nil {
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

// nextSerial is later than the last one, whatever the clock says. tinydns-data
// took the time of a source; it is not to go back behind that either. After
// the last number it begins with the time again, which is later in the order
// of serials (RFC 1982 section 3.2).
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
