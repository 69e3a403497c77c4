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

// Steps of replacing an operator's file, for durable.Step, besides durable's
// own: the new version is whole under its name for the exchange; the two are
// exchanged.
const (
	Prepared  = "prepared"
	Exchanged = "exchanged"
)

// put brings the file temp, which holds next, into the place of base. If an editor was
// quicker it returns errOvertaken.
//
// The file is looked at before it is replaced. Then the two versions are exchanged
// (renameat2(2), RENAME_EXCHANGE), so that the replaced version can be looked at too.
// If it is not base, or if somebody still writes to it, the two are exchanged back at
// once. A version that an editor made in the moment between the two exchanges stays
// beside the file, and an error in the log names it. So does the version that was put
// back, if somebody opened the file in that moment: that person may save the text read
// then, without the other editor's change.
func (o *operatorFile) put(ctx context.Context, path, temp string, base version, next []byte) error {
	swap := strings.TrimSuffix(temp, filepath.Ext(temp)) + swapSuffix
	if err := os.Rename(temp, swap); err != nil {
		os.Remove(temp)
		return err
	}
	step(Prepared, path)
	e, err := newEdition(swap, next, &o.opens)
	if err == nil {
		if err = exchangeIf(base.stamp, swap, path); err != nil {
			e.close()
		}
	}
	if err != nil {
		os.Remove(swap)
		return err
	}
	step(Exchanged, path)
	if !o.untouched(ctx, swap, base) {
		defer e.close()
		if err := o.putBack(ctx, swap, path, e); err != nil {
			return err
		}
		return errOvertaken
	}
	o.retire(swap, temp, base.stamp)
	e.stamp = e.exchanged()
	o.present, o.last = e, e.stamp
	return nil
}

// exchangeIf exchanges two files if the one at path has this stamp.
func exchangeIf(stamp durable.Stamp, swap, path string) error {
	now, err := durable.StampAt(path)
	if err == nil && now != stamp {
		err = errOvertaken
	}
	if err != nil {
		return err
	}
	return exchange(swap, path)
}

// retire makes the replaced version, at swap, the spare one, with the name temp, if it is the
// present edition, and else removes it.
func (o *operatorFile) retire(swap, temp string, at durable.Stamp) {
	if o.isPresent(at) && os.Rename(swap, temp) == nil {
		o.spare, _ = durable.NewSpare(temp)
		swap = temp
	}
	if o.spare == nil {
		os.Remove(swap)
	}
	if o.present != nil {
		o.memory = o.present.content
		o.present.close()
	}
}

// untouched reports whether the file at path is still the version base, and nobody can
// write to it any more. It looks at the stamp first, because each moment counts: while
// an editor's version is not in its place, readers of the file do not see it.
func (o *operatorFile) untouched(ctx context.Context, path string, base version) bool {
	if at, err := durable.StampAt(path); err != nil || !at.SameWrite(base.stamp) {
		return false
	}
	if o.wrote(base.stamp) {
		return true
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

// putBack puts the editor's version, at swap, back to path, where e is, and removes e
// unless an editor has changed it already.
func (o *operatorFile) putBack(ctx context.Context, swap, path string, e *edition) error {
	editors, readErr := readFile(swap)
	if err := exchange(swap, path); err != nil {
		keep(swap, path, o.log, conflict, err)
		return fmt.Errorf("putting it back: %w", err)
	}
	pause.For(ctx, durable.StampStep) // for a program that has found e already, and opens it now
	if e.opened() {
		o.keepOverlooked(swap, path, editors, readErr)
	}
	ours, _, err := readSettled(ctx, swap)
	if err != nil || !bytes.Equal(ours, e.content) {
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
