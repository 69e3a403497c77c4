package datafile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"dnsgate/internal/durable"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// Check reads the files that New and its first Publish would read under the account of
// serve, and asks whether it could replace them. It changes nothing. It returns every
// fault, as "file:line: ..." if a line is to blame, and the zones that tinydns has
// then, nil if they are not known.
func Check(o Options, names []records.Name, serve durable.Account) (faults []error, zones *Zones) {
	o, err := o.complete()
	if err != nil {
		return []error{fmt.Errorf("tinydns: %w", err)}, nil
	}
	if err := o.checkRoot(); err != nil {
		return []error{err}, nil
	}
	t := new(Target)
	if err := t.assemble(o); err != nil {
		return []error{fmt.Errorf("tinydns: %w", err)}, nil
	}
	if o.Write == "file" {
		if err := checkOwned(o.Path); err != nil {
			faults = append(faults, err)
		}
	}
	if folder := filepath.Dir(o.Path); !isFolder(folder) {
		return append(faults, fmt.Errorf("%s: there is no folder %s", o.Place("path"), folder)), nil
	}
	if o.Write != "hosts" {
		if err := checkReplace(o.Path, serve); err != nil {
			faults = append(faults, err)
		}
	} else if info, err := os.Stat(o.Path); err == nil && !info.IsDir() {
		return append(faults, fmt.Errorf("%s: %s is a file, and hosts needs a folder of its own", o.Place("path"), o.Path)), nil
	}
	if o.Write == "section" || o.Write == "rewrite" {
		faults = append(faults, checkEdited(o, names)...)
	}
	if len(o.Rebuild) > 0 {
		// The command may read other files; only its result is known.
		if cuts, _, err := readCuts(filepath.Join(o.Root, database)); err == nil {
			zones = &Zones{cuts}
		}
		return faults, zones
	}
	if err := checkReplace(filepath.Join(o.Root, database), serve); err != nil {
		faults = append(faults, err)
	}
	parts, wrong := checkSources(t.sources)
	if len(wrong) == 0 {
		zones = &Zones{tinydns.CutsOf(parts)}
	}
	return append(faults, wrong...), zones
}

// checkReplace explains why the account of serve could not replace the file, which
// keeps its owner and group.
func checkReplace(path string, serve durable.Account) error {
	folder := filepath.Dir(path)
	if !serve.MayWrite(folder) {
		return fmt.Errorf("%s: %s cannot write to this folder; run: chown %s %s", folder, serve, serve, folder)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil // serve makes it, or reports why not
	}
	if !serve.MayGive(info) {
		return fmt.Errorf("%s: it belongs to %s, and %s could not replace it and keep that; run: chown %s %s", path, durable.Owner(info), serve, serve, path)
	}
	return nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// checkEdited reads the data file that dnsgate edits, and reports the names for which
// it could not be edited.
func checkEdited(o Options, names []records.Name) (faults []error) {
	data, _, err := readSettled(context.Background(), o.Path)
	if err == nil && o.Write == "section" {
		_, _, err = findSection(o.Path, data)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: there is no data file %s to edit", o.Place("path"), o.Path)
	}
	if err != nil {
		return []error{err}
	}
	if o.Write == "rewrite" {
		for _, err := range newRewriteWriter(o.Path, o.Location, o.Logger).differing(data, names) {
			faults = append(faults, err)
		}
	}
	return faults
}

// checkSources compiles the sources.
func checkSources(s *sources) (parts []*tinydns.Part, faults []error) {
	paths, faults := s.find()
	for _, path := range paths {
		c, _, err := s.compile(context.Background(), path, nil)
		if path == s.also && errors.Is(err, fs.ErrNotExist) {
			continue // checkEdited reports it
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		parts = append(parts, c.part)
	}
	return parts, faults
}
