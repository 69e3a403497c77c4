package datafile

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"dnsgate/internal/durable"
	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// hostsWriter owns one file per hostname in a folder, and in it the lines of
// the hostname, of its wildcard and of its challenge name. Other files there
// are left alone.
type hostsWriter struct {
	pending
	folder string
	lines  *tinydns.Builder // all lines, for the compiler
	// empty keeps the file of a host without records, empty: make must see that it
	// changed, and may have its name in a Makefile.
	empty bool

	hosts   map[records.Name][]records.Host // by hostname, those with records, by name
	written ledger                          // files that dnsgate has made
	again   bool                            // this process has written all of them once
	unsure  bool                            // the folder could not be synced, so a file with the right content need not be durable
}

func newHostsWriter(folder string, lines *tinydns.Builder, empty bool) *hostsWriter {
	return &hostsWriter{folder: folder, lines: lines, empty: empty,
		hosts:   make(map[records.Name][]records.Host),
		written: ledger{path: filepath.Join(folder, ".dnsgate.hosts")}}
}

func (w *hostsWriter) close() {}

// sweep removes temporary files of any hostname, and of the ledger.
func (w *hostsWriter) sweep() {
	durable.SweepFolder(w.folder, func(base string) bool {
		name, err := records.ParseName(base)
		return err == nil && string(name) == base
	})
	durable.Sweep(w.written.path)
}

// owns reports whether the file at path holds lines of this writer.
func (w *hostsWriter) owns(path string) bool {
	return filepath.Dir(path) == w.folder && w.written.has(filepath.Base(path))
}

// anyFile is one of the files, or "".
func (w *hostsWriter) anyFile() string {
	for name := range w.hosts {
		return filepath.Join(w.folder, string(name))
	}
	return ""
}

func (w *hostsWriter) write(ctx context.Context, pieces publish.Pieces, whole bool) (written []string, err error) {
	hosts, err := publish.Join(pieces)
	if err != nil {
		return nil, err
	}
	if len(hosts) == 0 && !whole {
		return nil, nil
	}
	if whole {
		clear(w.hosts)
		w.lines.Clear()
	}
	touched := make(map[records.Name]bool)
	for _, h := range hosts {
		w.put(h)
		touched[h.Name.Host()] = true
	}
	if err := w.claim(touched, whole); err != nil {
		return nil, err
	}
	written, refused, err := w.writeFiles(ctx, touched, whole && w.again)
	if err != nil {
		return written, err
	}
	return written, w.apply(hosts, touched, refused, whole)
}

// put takes the newest state of a host.
func (w *hostsWriter) put(h records.Host) {
	all := w.hosts[h.Name.Host()]
	at, found := slices.BinarySearchFunc(all, h.Name, func(h records.Host, name records.Name) int {
		return cmp.Compare(h.Name, name)
	})
	if found {
		all = slices.Delete(all, at, at+1)
	}
	if len(h.Records) > 0 {
		all = slices.Insert(all, at, h)
	}
	if len(all) == 0 {
		delete(w.hosts, h.Name.Host())
		return
	}
	w.hosts[h.Name.Host()] = all
}

// claim notes the files to be made. For a whole write it adds to touched the files of
// hosts that the store no longer knows.
func (w *hostsWriter) claim(touched map[records.Name]bool, whole bool) error {
	var names []string
	for name := range touched {
		if w.hosts[name] != nil {
			names = append(names, string(name))
		}
	}
	if err := w.written.add(names); err != nil {
		return err
	}
	if whole {
		for word := range w.written.words {
			if name, err := records.ParseName(word); err == nil && string(name) == word {
				touched[name] = true
			}
		}
	}
	return nil
}

// writeFiles brings the files of the hostnames up to date.
func (w *hostsWriter) writeFiles(ctx context.Context, names map[records.Name]bool, again bool) (written []string, refused publish.HostErrors, err error) {
	folder, err := durable.OpenFolder(w.folder)
	if err != nil {
		return nil, nil, err
	}
	batch := durable.NewBatch(folder)
	defer func() {
		batch.Abort()
		if w.next == nil {
			folder.Close()
		}
	}()
	refused = make(publish.HostErrors)
	var changed []records.Name
	for name := range names {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		begun, err := w.begin(folder, batch, name, again || w.unsure)
		switch {
		case err != nil:
			refused[name] = err
		case begun:
			changed = append(changed, name)
		}
	}
	if w.unsure {
		batch.SyncFolder() // for removals, which are not done again
	}
	failed := batch.Put()
	for _, name := range changed {
		if failure := failed[string(name)]; failure != nil {
			refused[name] = failure
		} else {
			written = append(written, filepath.Join(w.folder, string(name)))
		}
	}
	if len(refused) == len(names) && len(names) > 1 {
		return nil, refused, fmt.Errorf("no file could be written: %w", refused)
	}
	batch.BeginSync() // data.cdb is made meanwhile
	w.unsure = true
	w.next = &draft{sync: func() error {
		defer folder.Close()
		err := batch.Sync()
		w.unsure = err != nil
		return err
	}}
	return written, refused, nil
}

// begin begins the new file of a hostname, or its removal, unless it is right already.
func (w *hostsWriter) begin(folder *durable.Folder, batch *durable.Batch, name records.Name, again bool) (begun bool, err error) {
	content := appendLines(nil, w.lines.Dialect, w.hosts[name])
	same, missing, err := hasContent(folder, string(name), content)
	switch {
	case err != nil:
		return false, err
	case len(content) == 0 && missing:
		return false, nil
	case len(content) == 0 && !w.empty:
		batch.Remove(string(name))
		return true, nil
	case same && !again:
		return false, nil
	}
	return true, batch.Replace(string(name), content, 0o644)
}

// apply gives the compiler the lines of hosts whose files hold them.
func (w *hostsWriter) apply(hosts []records.Host, touched map[records.Name]bool, files publish.HostErrors, whole bool) error {
	refused := make(publish.HostErrors)
	served := make([]records.Host, 0, len(hosts))
	for _, h := range hosts {
		if err := files[h.Name.Host()]; err != nil {
			refused[h.Name] = err
		} else {
			served = append(served, h)
		}
	}
	if err := w.lines.Apply(ownersOf(served)); err != nil {
		return err
	}
	if len(refused) > 0 {
		return refused
	}
	if whole {
		w.again = true
		return w.written.keep(func(word string) bool { return w.hosts[records.Name(word)] != nil })
	}
	return nil
}

// hasContent reports whether a file of the folder has this content. Anything but a
// regular file of its own, such as a link or a FIFO, is an error: somebody put it there
// to have another file replaced, or to make dnsgate wait.
func hasContent(folder *durable.Folder, name string, content []byte) (same, missing bool, err error) {
	f, err := folder.OpenRegular(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, true, nil
	}
	if err != nil {
		return false, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() != int64(len(content)) {
		return false, false, err
	}
	old := make([]byte, len(content))
	_, err = io.ReadFull(f, old)
	return bytes.Equal(old, content), false, err
}
