package datafile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"dnsgate/internal/durable"
	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"

	"golang.org/x/sys/unix"
)

// manyFiles is from how many host files on one sync of the file system costs
// less than one of each file.
const manyFiles = 32

// hostsWriter owns one file per hostname in a folder, and in it the lines of
// the hostname, of its wildcard and of its challenge name. Other files there
// are left alone.
type hostsWriter struct {
	atOnce
	folder string
	form   lineForm
	lines  *tinydns.Builder // all lines, for the compiler
	// empty leaves the file of a host without records there, empty: make
	// must see that it changed, and may have its name in a Makefile.
	empty bool

	hosts   map[records.Name][]records.Host // by hostname, those with records, by name
	written ledger                          // files that dnsgate has made
	again   bool                            // this process has written all once
}

func newHostsWriter(folder string, form lineForm, lines *tinydns.Builder, empty bool) *hostsWriter {
	return &hostsWriter{folder: folder, form: form, lines: lines, empty: empty,
		hosts:   make(map[records.Name][]records.Host),
		written: ledger{path: filepath.Join(folder, ".dnsgate.hosts")}}
}

// sweep removes temporary files of any hostname, and of the ledger.
func (w *hostsWriter) sweep() {
	sweepFolder(w.folder, func(base string) bool {
		name, err := records.ParseName(base)
		return err == nil && string(name) == base
	})
	sweepTemps(w.written.path)
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

func (w *hostsWriter) write(ctx context.Context, hosts []records.Host, whole bool) (written []string, err error) {
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
	if len(written) > 0 {
		if syncErr := durable.SyncFolder(w.folder); err == nil {
			err = syncErr
		}
		step(durable.FolderSynced, w.folder)
	}
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

// claim notes the files to be made. For a whole write it adds to touched the
// files of hosts that the store does not know any more.
func (w *hostsWriter) claim(touched map[records.Name]bool, whole bool) error {
	if _, err := os.Stat(w.folder); err != nil {
		return err
	}
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

// writeFiles brings the files of the hostnames up to date, but for the sync of
// the folder.
func (w *hostsWriter) writeFiles(ctx context.Context, names map[records.Name]bool, again bool) ([]string, publish.HostErrors, error) {
	all := slices.Collect(maps.Keys(names))
	changed, errs := make([]bool, len(all)), make([]error, len(all))
	if len(all) > manyFiles {
		w.writeMany(ctx, all, again, changed, errs)
	} else {
		for i, name := range all {
			changed[i], errs[i] = w.writeOne(name, again)
		}
	}
	var written []string
	refused := make(publish.HostErrors)
	for i, name := range all {
		if errs[i] != nil {
			refused[name] = errs[i]
		} else if changed[i] {
			written = append(written, filepath.Join(w.folder, string(name)))
		}
	}
	if len(refused) == len(names) && len(names) > 1 {
		return written, nil, fmt.Errorf("no file could be written: %w", refused)
	}
	return written, refused, ctx.Err()
}

// writeMany is writeOne for many names: all new files are made durable by one
// syncfs(2) instead of an fsync(2) each, before the first of them is renamed.
func (w *hostsWriter) writeMany(ctx context.Context, names []records.Name, again bool, changed []bool, errs []error) {
	news := make([]*newHostFile, len(names))
	for i, name := range names {
		if errs[i] = ctx.Err(); errs[i] == nil {
			news[i], errs[i] = w.prepare(name, again)
		}
	}
	folder, err := os.Open(w.folder)
	if err == nil {
		err = unix.Syncfs(int(folder.Fd()))
		folder.Close()
	}
	for i, n := range news {
		if n == nil {
			continue
		}
		if err != nil {
			n.abort()
			errs[i] = err
			continue
		}
		step(durable.Synced, n.path)
		changed[i], errs[i] = true, n.rename()
	}
}

// writeOne brings the file of one hostname up to date, but for the sync of the
// folder.
func (w *hostsWriter) writeOne(name records.Name, again bool) (changed bool, err error) {
	n, err := w.prepare(name, again)
	if n == nil || err != nil {
		return false, err
	}
	defer n.abort()
	if err := n.sync(); err != nil {
		return false, err
	}
	step(durable.Synced, n.path)
	return true, n.rename()
}

// apply gives the compiler the lines of the hosts whose files have them.
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
	if err := w.lines.Apply(w.form.owners(served)); err != nil {
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
