package datafile

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dnsgate/internal/watch"
)

// Options says where tinydns data is and how it is written.
type Options struct {
	Root    string        // folder of data.cdb
	Write   string        // "file", "section", "rewrite" or "hosts"
	Path    string        // the file or folder that is written, relative to Root
	Sources []string      // further data files, globs allowed, relative to Root
	Rebuild []string      // command and arguments; none: dnsgate compiles
	Timeout time.Duration // of the command
	AAAA    string        // "generic" or "fefe"
	After   []string      // command and arguments, run when data.cdb was replaced; none: nothing
	Notify  []string      // "HOST:PORT" of secondaries that are told of zones that changed

	// Location, with Write "rewrite", is the location whose lines are dnsgate's; "-":
	// lines without one; "": any, if those of a host do not differ by it.
	Location string

	// Place begins the errors that an option is to blame for, given its name, such as
	// "root" or "sources[1]"; nil: the name itself.
	Place func(option string) string

	Logger *slog.Logger // nil: the default one
}

// complete checks o and makes its paths absolute.
func (o Options) complete() (Options, error) {
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
	patterns := make([]string, 0, len(o.Sources))
	for _, pattern := range o.Sources {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return o, fmt.Errorf("source %q: %w", pattern, err)
		}
		if filepath.IsAbs(pattern) {
			patterns = append(patterns, pattern)
		} else {
			patterns = append(patterns, watch.Literal(root)+"/"+pattern)
		}
	}
	o.Root, o.Path, o.Sources = root, below(o.Path), patterns
	if o.Path == filepath.Join(root, database) {
		return o, fmt.Errorf("path is %s, which is built", database)
	}
	if o.Write == "file" {
		for _, pattern := range patterns {
			// The file that dnsgate replaces would be the operator's own.
			if path, literal := unpattern(pattern); literal && sameFile(filepath.Clean(path), o.Path) {
				return o, fmt.Errorf("path is %s, which is among sources too; the write mode file replaces all of it: give path another name, or write section or rewrite", o.Path)
			}
		}
	}
	return o, nil
}

// checkRoot makes sure that the root is a folder.
func (o Options) checkRoot() error {
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
