package datafile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"dnsgate/internal/durable"
	"dnsgate/internal/pause"

	"golang.org/x/sys/unix"
)

const (
	// swapSuffix ends the name under which the new version of a file waits,
	// whole and synced, and which the replaced version has after the exchange.
	swapSuffix = ".swap"

	// oldSuffix is added to it for a moment where the file system cannot
	// exchange two files.
	oldSuffix = ".old"

	// keptSuffix ends the name of a version of the operator's that could not
	// be merged.
	keptSuffix = ".kept"

	// maxTries is how often in a row an editor may be quicker than dnsgate.
	maxTries = 50
)

// Steps of replacing an operator's file, for durable.Step, besides durable's
// own: the new version is whole under its name for the exchange; the two are
// exchanged.
const (
	Prepared  = "prepared"
	Exchanged = "exchanged"
)

// operatorFile is a file that dnsgate changes and somebody else may edit at the
// same time.
type operatorFile struct {
	path string
	log  *slog.Logger
	last durable.Stamp // as it was when it was right; only dnsgate could have written it if ours
	ours bool
	text []byte // of the version of last, if ours; nil: not known
	kept bool   // what a killed run left has been looked at

	readers opens // of a new version, while it may have to go again
}

func (o *operatorFile) close() { o.readers.close() }

// unchanged reports whether the file is as edit left it.
func (o *operatorFile) unchanged() bool {
	now, err := durable.StampAt(o.path)
	return err == nil && (now == o.last || o.wrote(now))
}

// wrote reports whether a version with this stamp is the one that edit wrote. It was
// written under a name that nobody knew, so not even a coarse clock can give its stamp
// to another write.
func (o *operatorFile) wrote(at durable.Stamp) bool { return o.ours && at.SameWrite(o.last) }

// edit replaces the file with the result of change on its content. It returns the
// file's path if anything changed.
//
// The file is looked at before it is replaced. Then the two versions are exchanged
// (renameat2(2), RENAME_EXCHANGE), so that the replaced version can be looked at too.
// If it is not the one given to change, or if somebody still writes to it, the two are
// exchanged back at once, and change runs again on the editor's version. A version that
// an editor made in the moment between the two exchanges stays beside the file, and an
// error in the log names it. So does the version that was put back, if somebody opened
// the file in that moment: that person may save the text read then, without the other
// editor's change.
func (o *operatorFile) edit(ctx context.Context, change func(old []byte) ([]byte, error)) ([]string, error) {
	path, err := durable.Resolve(o.path)
	if err != nil {
		return nil, err
	}
	o.recover(ctx, path, change)
	for range maxTries {
		base, at, err := o.read(ctx, path)
		if err != nil {
			return nil, err
		}
		next, err := change(base)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(next, base) {
			o.ours = o.wrote(at)
			o.last = at
			if o.ours {
				o.text = base
			}
			return nil, nil
		}
		written, done, err := o.replace(ctx, path, version{base, at}, next)
		if err != nil {
			return nil, err
		}
		if done {
			o.last, o.ours, o.text = written, true, next
			return []string{o.path}, nil
		}
	}
	return nil, fmt.Errorf("%s: somebody else changes it all the time", path)
}

// recover looks at the versions left by a run that was killed around an exchange. A
// version that differs from the file only in dnsgate's own lines has nothing of the
// operator's that the file lacks.
func (o *operatorFile) recover(ctx context.Context, path string, change func(old []byte) ([]byte, error)) {
	if o.kept {
		return
	}
	o.kept = true
	for _, swap := range append(durable.Leftovers(path, swapSuffix), durable.Leftovers(path, swapSuffix+oldSuffix)...) {
		left, _, err := readSettled(ctx, swap)
		now, _, nowErr := readSettled(ctx, path)
		if err == nil && nowErr == nil {
			left, err = change(left)
			now, nowErr = change(now)
		}
		if err == nil && nowErr == nil && bytes.Equal(left, now) {
			os.Remove(swap)
			continue
		}
		keep(swap, path, o.log, "a killed run left another version of a file, which may have somebody's changes; compare them and remove it", err)
	}
}

// version is a file's content and the stamp that it had.
type version struct {
	content []byte
	stamp   durable.Stamp
}

// replace puts next in the place of base, and returns its stamp. It returns false if an
// editor was quicker; the file is then as the editor left it.
func (o *operatorFile) replace(ctx context.Context, path string, base version, next []byte) (written durable.Stamp, done bool, err error) {
	swap, err := prepare(path, next)
	if err != nil {
		return durable.Stamp{}, false, err
	}
	if written, err = durable.StampAt(swap); err != nil {
		return durable.Stamp{}, false, err
	}
	o.readers.begin(swap)
	defer o.readers.end()
	now, err := durable.StampAt(path)
	if err != nil || now != base.stamp {
		os.Remove(swap)
		return durable.Stamp{}, false, err
	}
	if err := exchange(swap, path); err != nil {
		os.Remove(swap)
		return durable.Stamp{}, false, fmt.Errorf("replacing %s: %w", path, err)
	}
	step(Exchanged, path)
	if !untouched(ctx, swap, base) {
		return durable.Stamp{}, false, o.putBack(ctx, swap, path, next)
	}
	step(durable.Renamed, path)
	if err := durable.SyncFolder(filepath.Dir(path)); err != nil {
		return durable.Stamp{}, false, fmt.Errorf("replacing %s: %w", path, err)
	}
	step(durable.FolderSynced, path)
	return written, true, os.Remove(swap)
}

// putBack puts the editor's version, at swap, back to path, where next is, and removes
// next unless an editor has changed it already.
func (o *operatorFile) putBack(ctx context.Context, swap, path string, next []byte) error {
	editors, readErr := readFile(swap)
	if err := exchange(swap, path); err != nil {
		keep(swap, path, o.log, conflict, err)
		return fmt.Errorf("putting back %s: %w", path, err)
	}
	pause.For(ctx, durable.StampStep) // for a program that has found next already, and opens it now
	if o.readers.seen() {
		o.keepOverlooked(swap, path, editors, readErr)
	}
	ours, _, err := readSettled(ctx, swap)
	if err != nil || !bytes.Equal(ours, next) {
		keep(swap, path, o.log, conflict, err)
		return nil
	}
	return os.Remove(swap)
}

// keepOverlooked keeps an editor's version that has been put back, because somebody
// opened the file while that version was not there.
func (o *operatorFile) keepOverlooked(swap, path string, editors []byte, err error) {
	kept := strings.TrimSuffix(swap, swapSuffix) + ".overlooked" + keptSuffix
	if err == nil {
		err = durable.WriteFile(kept, editors, 0o600)
	}
	if err != nil {
		o.log.Error("somebody opened a file in the moment in which a change that another made was not in it; what he saves may lack that", "file", path, "err", err)
		return
	}
	o.log.Error("somebody opened a file in the moment in which a change that another made was not in it; what he saves may lack that, so that version is kept",
		"file", path, "kept", kept)
}

// prepare writes next to a file of its own beside path, whole and synced.
func prepare(path string, next []byte) (swap string, err error) {
	f, err := durable.CreateHere(path, 0o644)
	if err != nil {
		return "", err
	}
	defer f.Abort()
	if _, err = f.Write(next); err == nil {
		swap, err = f.Keep(swapSuffix)
	}
	if err != nil {
		return "", fmt.Errorf("replacing %s: %w", path, err)
	}
	step(Prepared, path)
	return swap, nil
}

// exchange swaps the files at two paths.
func exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return exchangeByLink(a, b)
	}
	return err
}

// exchangeByLink is for file systems that cannot exchange. A version that is
// renamed over b between its first two steps is lost.
func exchangeByLink(a, b string) error {
	old := a + oldSuffix
	if err := os.Link(b, old); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		os.Remove(old)
		return err
	}
	return os.Rename(old, a)
}

// untouched reports whether the file at path is still the version base, and nobody can
// write to it any more. It looks at the stamp first, because each moment counts: while
// an editor's version is not in its place, readers of the file do not see it.
func untouched(ctx context.Context, path string, base version) bool {
	if at, err := durable.StampAt(path); err != nil || !at.SameWrite(base.stamp) {
		return false
	}
	f, err := openRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	switch openForWriting(f) {
	case opened:
		return false
	case unknown:
		pause.For(ctx, durable.StampStep) // a program that opened it before the exchange may still write
	}
	return equals(f, base.content)
}

const conflict = "a change that somebody made to a file at the same moment could not be merged; that version is kept"

// keep keeps a version that could not be merged, and tells the operator.
func keep(swap, path string, log *slog.Logger, why string, err error) {
	kept := strings.TrimSuffix(strings.TrimSuffix(swap, oldSuffix), swapSuffix) + keptSuffix
	if renameErr := os.Rename(swap, kept); renameErr != nil {
		kept = swap
	}
	log.Error(why, "file", path, "kept", kept, "err", err)
}

func step(name, path string) {
	if durable.Step != nil {
		durable.Step(name, path)
	}
}
