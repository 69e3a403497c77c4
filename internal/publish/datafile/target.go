// Package datafile publishes to tinydns: it writes the store's hosts into the
// operator's data files, in one of four ways, and has data.cdb built from them. It
// trusts those files to be the operator's, but never to be complete.
package datafile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
	"dnsgate/internal/watch"
)

// Target is the publish.Target that writes tinydns data, and has data.cdb built.
type Target struct {
	lock       *rootLock
	sources    *sources
	writer     writer
	builder    builder
	watcher    *watch.Watcher
	changed    chan struct{} // capacity 1
	afterwards *afterwards
	closed     chan struct{}
	closing    sync.Once

	mu    sync.Mutex
	own   string   // the file that is to be replaced whole; "" once it is known to be dnsgate's
	stale []string // files that were written and are not yet built
	sound bool     // the last round left the database as it is to be
}

// writer brings dnsgate's lines into the operator's files.
type writer interface {
	// write is the files' part of Publish and PublishAll. It returns the written files,
	// also beside an error.
	write(ctx context.Context, hosts publish.Pieces, whole bool) (written []string, err error)

	// begun hands over the files that are still to be committed.
	begun() []*draft

	// sweep removes leftovers of a run that was killed.
	sweep()

	// close removes the files that are kept beside others for the next time.
	close()
}

// builder makes data.cdb from the files.
type builder interface {
	// build commits the files that were begun, in any case, and brings data.cdb up to
	// date. written are the files written since its last call; whole asks for a new
	// database in any case.
	build(ctx context.Context, written []string, begun []*draft, whole bool) error

	// sweep removes leftovers of a run that was killed.
	sweep()

	// close removes the files that are kept beside others for the next time.
	close()

	// cuts are those of data.cdb as it was built last. Any goroutine may call it.
	cuts() (*tinydns.Cuts, error)
}

// New makes the target, which holds the lock on its root from then on,
// so that a second dnsgate fails here. Close gives it back.
func New(o Options) (*Target, error) {
	o, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("tinydns: %w", err)
	}
	if err := o.checkRoot(); err != nil {
		return nil, err
	}
	t := &Target{lock: &rootLock{root: o.Root}}
	if err := t.assemble(o); err != nil {
		return nil, fmt.Errorf("tinydns: %w", err)
	}
	if o.Write == "file" {
		t.own = o.Path
	}
	switch _, err := t.lock.hold(); {
	case errors.Is(err, errAnotherDnsgate):
		return nil, fmt.Errorf("tinydns: %w", err)
	case err != nil: // other users may write to root; Publish reports it, and tries again
		o.Logger.Error("tinydns is not published to until this is mended", "error", err)
	}
	if o.Write == "hosts" {
		if err := os.Mkdir(o.Path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			t.lock.close()
			return nil, fmt.Errorf("tinydns: %w", err)
		}
	}
	t.sweep()
	watched := slices.Clone(o.Sources)
	if o.Write == "section" || o.Write == "rewrite" {
		watched = append(watched, watch.Literal(o.Path))
	}
	t.watcher = watch.New(watched...)
	t.afterwards = newAfterwards(o)
	t.changed, t.closed = make(chan struct{}, 1), make(chan struct{})
	go t.watch()
	return t, nil
}

// glanceInterval is the time between two looks at the database.
const glanceInterval = 500 * time.Millisecond

// watch reports when the sources changed, and when somebody else removed or replaced
// the database: the published data is then no longer served.
func (t *Target) watch() {
	ticker := time.NewTicker(glanceInterval)
	defer ticker.Stop()
	for {
		select {
		case <-t.watcher.Changed():
		case <-ticker.C:
			if !t.disturbed() {
				continue
			}
		case <-t.closed:
			return
		}
		select {
		case t.changed <- struct{}{}:
		default:
		}
	}
}

// disturbed reports, once, that the database that dnsgate compiled is gone. A command's
// database may change at any time.
func (t *Target) disturbed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ours := t.builder.(*compiler)
	if !ours || !t.sound || c.intact() {
		return false
	}
	t.sound = false
	return true
}

// assemble chooses the writer and the builder.
func (t *Target) assemble(o Options) error {
	dialect := tinydns.Stock
	if o.AAAA == "fefe" {
		dialect = tinydns.Fefe
	}
	lines := &tinydns.Builder{Dialect: dialect} // those outside of all sources
	from := &sources{patterns: o.Sources, place: o.Place, dialect: dialect, builds: len(o.Rebuild) > 0}
	from.except = func(string) bool { return false }
	t.sources = from
	own := func() string { return o.Path }
	switch o.Write {
	case "file":
		t.writer = newFileWriter(o.Path, lines)
		from.except = func(path string) bool { return sameFile(path, o.Path) }
	case "section":
		w := newSectionWriter(o.Path, dialect, o.Logger)
		t.writer, from.also, from.wrote = w, o.Path, w.file.wrote
	case "rewrite":
		w := newRewriteWriter(o.Path, o.Location, o.Logger)
		t.writer, from.also, from.wrote = w, o.Path, w.file.wrote
	case "hosts":
		w := newHostsWriter(o.Path, lines, len(o.Rebuild) > 0)
		t.writer, from.except, own = w, w.owns, w.anyFile
	default:
		return fmt.Errorf("write is %q, not file, section, rewrite or hosts", o.Write)
	}
	if len(o.Rebuild) > 0 {
		t.builder = &rebuild{command: command{what: "rebuild", root: o.Root, argv: o.Rebuild, timeout: o.Timeout, log: o.Logger}, sources: from, own: own,
			database: databaseCuts{path: filepath.Join(o.Root, database)}}
	} else {
		t.builder = newCompiler(o.Root, from, lines)
	}
	return nil
}

// Name implements publish.Target.
func (t *Target) Name() string { return "tinydns" }

// Covers implements publish.Target: tinydns data holds every name.
func (t *Target) Covers(records.Name) bool { return true }

// Changed implements publish.Watcher.
func (t *Target) Changed() <-chan struct{} { return t.changed }

// Publish implements publish.Target.
func (t *Target) Publish(ctx context.Context, hosts []records.Host, whole bool) error {
	return t.publish(ctx, publish.OnePiece(hosts), hosts, whole)
}

// PublishAll implements publish.PieceTarget.
func (t *Target) PublishAll(ctx context.Context, hosts publish.Pieces) error {
	return t.publish(ctx, hosts, nil, true)
}

// publish publishes hosts. If they are not the whole, they are in changed too.
func (t *Target) publish(ctx context.Context, hosts publish.Pieces, changed []records.Host, whole bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sound = false
	anew, err := t.lock.hold()
	if err != nil {
		return err
	}
	if anew {
		t.sweep()
	}
	if t.own != "" {
		if err := checkOwned(t.own); err != nil {
			return err
		}
		t.own = ""
	}
	refused, err := t.writeAndBuild(ctx, hosts, whole)
	for tries := 1; errors.Is(err, errOvertaken) && tries < maxTries; tries++ {
		refused, err = t.writeAndBuild(ctx, publish.OnePiece(nil), false) // the writer knows the hosts by now
	}
	if err != nil {
		return err
	}
	t.stale, t.sound = nil, true
	t.afterwards.published(changed, whole, t.builder.cuts)
	return refused
}

// writeAndBuild also returns the hosts that the writer refused.
func (t *Target) writeAndBuild(ctx context.Context, hosts publish.Pieces, whole bool) (refused, err error) {
	written, err := t.writer.write(ctx, hosts, whole)
	t.stale = append(t.stale, written...)
	slices.Sort(t.stale)
	t.stale = slices.Compact(t.stale)
	if err != nil && !errors.As(err, new(publish.HostErrors)) {
		return nil, err
	}
	return err, t.builder.build(ctx, t.stale, t.writer.begun(), whole)
}

func (t *Target) sweep() {
	t.writer.sweep()
	t.builder.sweep()
}

// Close ends the watch of the sources and gives the lock back. Set.Run calls
// it at its end; calling it again does nothing.
func (t *Target) Close() (err error) {
	t.closing.Do(func() {
		close(t.closed)
		t.watcher.Close()
		t.afterwards.close()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.writer.close()
		t.builder.close()
		err = t.lock.close()
	})
	return err
}
