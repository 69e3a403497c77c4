package publish

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// CheckTinydns reads what NewTinydns and its first Publish would read, changes
// nothing, and returns everything that is wrong, as "file:line: ..." where a
// line is to blame.
func CheckTinydns(o TinydnsOptions) (faults []error) {
	o, err := o.complete()
	if err != nil {
		return []error{fmt.Errorf("tinydns: %w", err)}
	}
	t := new(Tinydns)
	if err := t.assemble(o); err != nil {
		return []error{fmt.Errorf("tinydns: %w", err)}
	}
	info, err := os.Stat(o.Root)
	if err == nil && !info.IsDir() {
		err = errors.New("not a folder")
	}
	if err != nil {
		return []error{fmt.Errorf("%s:1: tinydns root: %w", o.Root, err)}
	}
	if o.Write == "file" {
		if err := checkOwned(o.Path); err != nil {
			faults = append(faults, err)
		}
	}
	if o.Write == "section" || o.Write == "rewrite" {
		faults = append(faults, checkEdited(o)...)
	}
	if len(o.Rebuild) > 0 {
		return faults
	}
	if err := checkWritable(o.Root, os.Geteuid()); err != nil {
		faults = append(faults, fmt.Errorf("%s:1: tinydns root: %w", o.Root, err))
	}
	return append(faults, checkSources(t.sources)...)
}

// checkWritable tells why the user, who is to be the one of serve, could not
// replace data.cdb, which keeps its owner.
func checkWritable(root string, user int) error {
	const writeAndSearch = 2 | 1
	if err := syscall.Access(root, writeAndSearch); err != nil {
		return fmt.Errorf("user %d cannot write there: %w", user, err)
	}
	path := filepath.Join(root, database)
	info, err := os.Stat(path)
	if err != nil {
		return nil // serve makes it, or tells why not
	}
	if owner := int(info.Sys().(*syscall.Stat_t).Uid); user != 0 && owner != user {
		return fmt.Errorf("%s belongs to user %d, so that user %d cannot replace it; run: chown %d %s", database, owner, user, user, path)
	}
	return nil
}

// checkEdited reads the data file that dnsgate edits.
func checkEdited(o TinydnsOptions) []error {
	data, _, err := readSettled(context.Background(), o.Path)
	if err == nil && o.Write == "section" {
		_, _, err = findSection(o.Path, data)
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

func checkSources(s *sources) (faults []error) {
	paths, err := s.find()
	if err != nil {
		faults = append(faults, err)
	}
	for _, path := range paths {
		if _, _, err := s.compile(context.Background(), path); err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}
