package datafile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"dnsgate/internal/durable"
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

// errOvertaken says that an editor was quicker. The file is as the editor left it.
var errOvertaken = errors.New("somebody else changes it all the time")

// operatorFile is a file that dnsgate changes and somebody else may edit at the
// same time.
type operatorFile struct {
	pending
	path    string
	log     *slog.Logger
	last    durable.Stamp  // as it was when it was right
	present *edition       // the version that dnsgate put there last; nil: none
	spare   *durable.Spare // the edition before, to become the next one; nil: none
	memory  []byte         // where its content was kept
	latest  *durable.File  // the version that was begun last; nil: none
	opens   opens          // of editions
	kept    bool           // what a killed run left has been looked at
}

func (o *operatorFile) close() {
	o.present.close()
	o.spare.Remove()
	o.opens.close()
}

// unchanged reports whether the file is as edit left it.
func (o *operatorFile) unchanged() bool {
	now, err := durable.StampAt(o.path)
	return err == nil && o.committed() && now == o.last
}

// committed reports whether the version that was begun last is durable in its place.
func (o *operatorFile) committed() bool { return o.latest == nil || o.latest.Committed() }

// isPresent reports whether a version with this stamp is the one that dnsgate put there, as
// far as a stamp tells.
func (o *operatorFile) isPresent(at durable.Stamp) bool {
	return o.present != nil && at == o.present.stamp
}

// wrote reports whether a version with this stamp is certainly what dnsgate put there.
func (o *operatorFile) wrote(at durable.Stamp) bool { return o.isPresent(at) && o.present.untouched() }

// changer makes the next version of a file of its content. It may write that into memory,
// which holds nothing of use any more: for a large file that takes a fifth less time than
// new memory, which Go has to clear and collect.
type changer func(old, memory []byte) (next []byte, err error)

// edit begins the next version of the file, the result of change on its content, unless
// that is there, durably. It returns the file's path if it began one. That takes its place
// when it is committed, as put says; if that fails with errOvertaken, edit has to begin
// another one.
func (o *operatorFile) edit(ctx context.Context, change changer) ([]string, error) {
	path, err := durable.Resolve(o.path)
	if err != nil {
		return nil, err
	}
	o.recover(ctx, path, change)
	base, err := o.read(ctx, path)
	if err != nil {
		return nil, err
	}
	memory := o.memory
	o.memory = nil // change may keep what it makes there
	next, err := change(base.content, memory[:0])
	if err != nil {
		return nil, err
	}
	if bytes.Equal(next, base.content) && o.committed() {
		o.last = base.stamp
		return nil, nil
	}
	f, err := o.begin(path, next)
	if err != nil {
		return nil, fmt.Errorf("replacing %s: %w", path, err)
	}
	f.ReplaceBy(func(temp string) error { return o.put(ctx, path, temp, base, next) })
	o.latest, o.next = f, &draft{File: f, text: next, base: base.stamp}
	return []string{o.path}, nil
}

// begin writes next to a file of its own beside path: the spare one, or a new one.
func (o *operatorFile) begin(path string, next []byte) (f *durable.File, err error) {
	if o.committed() {
		f = o.spare.Reuse(path, 0o644)
	}
	if f == nil {
		o.spare.Remove()
		if f, err = durable.CreateHere(path, 0o644); err != nil {
			return nil, err
		}
	}
	o.spare = nil
	if _, err = f.Write(next); err == nil {
		err = f.Cut()
	}
	if err != nil {
		f.Abort()
		return nil, err
	}
	f.BeginSync()
	return f, nil
}

// recover looks at the versions left by a run that was killed around an exchange. A
// version that differs from the file only in dnsgate's own lines has nothing of the
// operator's that the file lacks.
func (o *operatorFile) recover(ctx context.Context, path string, change changer) {
	if o.kept {
		return
	}
	o.kept = true
	for _, swap := range append(durable.Leftovers(path, swapSuffix), durable.Leftovers(path, swapSuffix+oldSuffix)...) {
		left, _, err := readSettled(ctx, swap)
		now, _, nowErr := readSettled(ctx, path)
		if err == nil && nowErr == nil {
			left, err = change(left, nil)
			now, nowErr = change(now, nil)
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

// read reads the file, once nobody is writing to it.
func (o *operatorFile) read(ctx context.Context, path string) (version, error) {
	if at, err := durable.StampAt(path); err == nil && o.wrote(at) {
		return version{o.present.content, at}, nil
	}
	content, at, err := readSettled(ctx, path)
	return version{content, at}, err
}
