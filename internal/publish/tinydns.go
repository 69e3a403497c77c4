package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
	"dnsgate/internal/watch"
)

// TinydnsOptions says where tinydns data is and how it is written.
type TinydnsOptions struct {
	Root    string        // folder of data.cdb
	Write   string        // "file", "section", "rewrite" or "hosts"
	Path    string        // the file or folder that is written, relative to Root
	Sources []string      // further data files, globs allowed, relative to Root
	Rebuild []string      // command and arguments; none: dnsgate compiles
	Timeout time.Duration // of the command
	AAAA    string        // "generic" or "fefe"

	// Location, with Write "rewrite", is the one whose lines are dnsgate's;
	// "-": lines without one; "": any, if those of a host do not differ by it.
	Location string

	// Place is how an error begins that an option is to blame for, such as
	// "root" or "sources[1]"; nil: with that.
	Place func(option string) string

	Logger *slog.Logger // nil: the default one
}

// Tinydns is the Target that writes tinydns data, and has data.cdb built.
type Tinydns struct {
	lock    *rootLock
	sources *sources
	writer  writer
	builder builder
	watcher *watch.Watcher
	changed chan struct{} // capacity 1
	closed  chan struct{}
	closing sync.Once

	mu    sync.Mutex
	stale []string // files that were written and are not yet built
	sound bool     // the last round left the database as it is to be
}

// writer brings dnsgate's lines into the operator's files.
type writer interface {
	// write is what Target.Publish is to the files. It returns those that it
	// wrote, also beside an error.
	write(ctx context.Context, hosts []records.Host, whole bool) (written []string, err error)

	// begun gives away those of the files that are still to be committed.
	begun() []*durable.File

	// sweep removes what a run that was killed left behind.
	sweep()

	// close removes what is kept beside the files for the next time.
	close()
}

// atOnce is of writers that commit what they write at once.
type atOnce struct{}

func (atOnce) begun() []*durable.File { return nil }
func (atOnce) close()                 {}

// builder makes data.cdb of the files.
type builder interface {
	// build commits the files that were begun, in any case, and brings
	// data.cdb up to date. written are the files that were written since it
	// last was; whole says to make it anew in any case.
	build(ctx context.Context, written []string, begun []*durable.File, whole bool) error

	// sweep removes what a run that was killed left behind.
	sweep()

	// close removes what is kept beside the files for the next time.
	close()

	// cuts are those of data.cdb as it was built last. Any goroutine may call it.
	cuts() (*tinydns.Cuts, error)
}

// NewTinydns makes the target, which holds the lock on its root from then on,
// so that a second dnsgate fails here. Close gives it back.
func NewTinydns(o TinydnsOptions) (*Tinydns, error) {
	o, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("tinydns: %w", err)
	}
	if err := o.checkRoot(); err != nil {
		return nil, err
	}
	t := &Tinydns{lock: &rootLock{root: o.Root}}
	if err := t.assemble(o); err != nil {
		return nil, fmt.Errorf("tinydns: %w", err)
	}
	if o.Write == "file" {
		if err := checkOwned(o.Path); err != nil {
			return nil, fmt.Errorf("tinydns: %w", err)
		}
	}
	if _, err := t.lock.hold(); err != nil {
		return nil, fmt.Errorf("tinydns: %w", err)
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
	t.changed, t.closed = make(chan struct{}, 1), make(chan struct{})
	go t.watch()
	return t, nil
}

// glanceInterval is the time between two looks at the database.
const glanceInterval = 500 * time.Millisecond

// watch tells when the sources changed, or when somebody else took the database
// away or put another in its place: then it is not published any more what
// was.
func (t *Tinydns) watch() {
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

// disturbed reports, once, that the database that dnsgate compiled is gone. A
// command's is its own: it may change when it will.
func (t *Tinydns) disturbed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ours := t.builder.(*compiler)
	if !ours || !t.sound || c.intact() {
		return false
	}
	t.sound = false
	return true
}

// complete checks o and makes its paths absolute.
func (o TinydnsOptions) complete() (TinydnsOptions, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Place == nil {
		o.Place = func(option string) string { return option }
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if !slices.Contains([]string{"", "generic", "fefe"}, o.AAAA) {
		return o, fmt.Errorf("aaaa is %q, not generic or fefe", o.AAAA)
	}
	if o.Path == "" {
		return o, errors.New("path is empty")
	}
	root, err := filepath.Abs(o.Root)
	if err != nil {
		return o, err
	}
	below := func(path string) string {
		if filepath.IsAbs(path) {
			return filepath.Clean(path)
		}
		return filepath.Join(root, path)
	}
	sources := make([]string, 0, len(o.Sources))
	for _, pattern := range o.Sources {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return o, fmt.Errorf("source %q: %w", pattern, err)
		}
		if filepath.IsAbs(pattern) {
			sources = append(sources, pattern)
		} else {
			sources = append(sources, watch.Literal(root)+"/"+pattern)
		}
	}
	o.Root, o.Path, o.Sources = root, below(o.Path), sources
	if o.Path == filepath.Join(root, database) {
		return o, fmt.Errorf("path is %s, which is built", database)
	}
	if o.Write == "file" {
		for _, pattern := range sources {
			// The file that dnsgate replaces would be the one that the operator writes.
			if path, literal := unpattern(pattern); literal && sameFile(filepath.Clean(path), o.Path) {
				return o, fmt.Errorf("path is %s, which is among sources too; the write mode file replaces all of it: give path another name, or write section or rewrite", o.Path)
			}
		}
	}
	return o, nil
}

// checkRoot makes sure that the root is a folder.
func (o TinydnsOptions) checkRoot() error {
	info, err := os.Stat(o.Root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: the folder %s does not exist", o.Place("root"), o.Root)
	case err != nil:
		return fmt.Errorf("%s: %w", o.Place("root"), err)
	case !info.IsDir():
		return fmt.Errorf("%s: %s is not a folder", o.Place("root"), o.Root)
	}
	return nil
}

// assemble chooses the writer and the builder.
func (t *Tinydns) assemble(o TinydnsOptions) error {
	form := lineForm{dialect: tinydns.Stock}
	if o.AAAA == "fefe" {
		form.dialect = tinydns.Fefe
	}
	lines := &tinydns.Builder{Dialect: form.dialect} // those outside of all sources
	from := &sources{patterns: o.Sources, place: o.Place, dialect: form.dialect, builds: len(o.Rebuild) > 0}
	from.except = func(string) bool { return false }
	t.sources = from
	own := func() string { return o.Path }
	switch o.Write {
	case "file":
		t.writer = newFileWriter(o.Path, form, lines)
		from.except = func(path string) bool { return sameFile(path, o.Path) }
	case "section":
		w := newSectionWriter(o.Path, form, o.Logger)
		t.writer, from.also, from.wrote = w, o.Path, w.file.wrote
	case "rewrite":
		w := newRewriteWriter(o.Path, o.Location, o.Logger)
		t.writer, from.also, from.wrote = w, o.Path, w.file.wrote
	case "hosts":
		w := newHostsWriter(o.Path, form, lines, len(o.Rebuild) > 0)
		t.writer, from.except, own = w, w.owns, w.anyFile
	default:
		return fmt.Errorf("write is %q, not file, section, rewrite or hosts", o.Write)
	}
	if len(o.Rebuild) > 0 {
		t.builder = &command{root: o.Root, argv: o.Rebuild, timeout: o.Timeout, sources: from, own: own, log: o.Logger,
			database: databaseCuts{path: filepath.Join(o.Root, database)}}
	} else {
		t.builder = newCompiler(o.Root, from, lines)
	}
	return nil
}

// Name implements Target.
func (t *Tinydns) Name() string { return "tinydns" }

// Covers implements Target: tinydns data holds every name.
func (t *Tinydns) Covers(records.Name) bool { return true }

// Changed implements Watcher.
func (t *Tinydns) Changed() <-chan struct{} { return t.changed }

// Publish implements Target.
func (t *Tinydns) Publish(ctx context.Context, hosts []records.Host, whole bool) error {
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
	written, err := t.writer.write(ctx, hosts, whole)
	t.stale = append(t.stale, written...)
	slices.Sort(t.stale)
	t.stale = slices.Compact(t.stale)
	var refused HostErrors
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	if err := t.builder.build(ctx, t.stale, t.writer.begun(), whole); err != nil {
		return err
	}
	t.stale, t.sound = nil, true
	return err
}

func (t *Tinydns) sweep() {
	t.writer.sweep()
	t.builder.sweep()
}

// Close ends the watch of the sources and gives the lock back. Set.Run calls
// it at its end; calling it again does nothing.
func (t *Tinydns) Close() (err error) {
	t.closing.Do(func() {
		close(t.closed)
		t.watcher.Close()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.writer.close()
		t.builder.close()
		err = t.lock.close()
	})
	return err
}
