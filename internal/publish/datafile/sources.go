package datafile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/pause"
	"dnsgate/internal/tinydns"
)

// sources are the data files of the operator that dnsgate compiles, each kept
// compiled until it changes.
type sources struct {
	patterns []string                 // absolute; the files of a pattern are in order of name
	place    func(string) string      // begins the errors that "sources[i]" is to blame for
	also     string                   // a path that comes last if no pattern matches it; "": none
	except   func(path string) bool   // files that are no sources, though a pattern matches
	wrote    func(durable.Stamp) bool // recognizes a version that dnsgate itself wrote; nil: it writes none
	builds   bool                     // a command makes some of them: they may be missing
	dialect  tinydns.Dialect

	compiled map[string]compiledSource
	order    []string // as load last returned them
	news     bool     // something was compiled that load has not returned yet
}

type compiledSource struct {
	stamp durable.Stamp
	sure  bool // stamp tells this version from all later ones
	part  *tinydns.Part
}

// load compiles changed sources, and returns all parts in order. A source that is among
// drafts is compiled as it will be. A faulty source is an error, and so is a missing one
// that is named without a pattern.
func (s *sources) load(ctx context.Context, drafts []*draft) (parts []*tinydns.Part, changed bool, err error) {
	if s.compiled == nil {
		s.compiled = make(map[string]compiledSource)
	}
	paths, missing := s.find()
	if len(missing) > 0 {
		return nil, false, missing[0]
	}
	compiled := make(map[string]compiledSource, len(paths))
	for _, path := range paths {
		c, anew, err := s.compile(ctx, path, drafts)
		if err != nil {
			maps.Copy(s.compiled, compiled) // so that the next try is quicker
			return nil, false, err
		}
		s.news = s.news || anew
		compiled[path] = c
		parts = append(parts, c.part)
	}
	changed = s.news || !slices.Equal(paths, s.order)
	s.compiled, s.order, s.news = compiled, paths, false
	return parts, changed, nil
}

// find lists the files that match the patterns, each once, and the faults of those
// named without a pattern. As in a shell, a pattern does not match a hidden file unless
// it begins with a dot.
func (s *sources) find() (paths []string, faults []error) {
	seen := make(map[string]bool)
	for i, pattern := range s.patterns {
		found, _ := filepath.Glob(pattern) // complete has checked it
		if path, literal := unpattern(pattern); literal {
			if err := s.checkNamed(path); err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", s.place(fmt.Sprintf("sources[%d]", i)), err))
				continue
			}
		}
		hidden := strings.HasPrefix(filepath.Base(pattern), ".")
		for _, path := range found {
			if !hidden && strings.HasPrefix(filepath.Base(path), ".") {
				continue
			}
			if !seen[path] && !s.except(path) {
				seen[path] = true
				paths = append(paths, path)
			}
		}
	}
	if s.also != "" && !containsFile(paths, s.also) {
		paths = append(paths, s.also)
	}
	return paths, faults
}

func (s *sources) checkNamed(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !s.builds:
		return fmt.Errorf("the file %s does not exist", path)
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a folder, not a data file", filepath.Clean(path))
	}
	return nil
}

// unpattern returns the path that a pattern without wildcards names.
func unpattern(pattern string) (path string, literal bool) {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*', '?', '[':
			return "", false
		case '\\':
			if i++; i < len(pattern) {
				b.WriteByte(pattern[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

func sameFile(path, other string) bool {
	if path == other {
		return true
	}
	a, errA := os.Stat(path)
	b, errB := os.Stat(other)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// compile returns the known part of a source if it is still true, or else reads the
// source again. anew reports whether the part is another one.
func (s *sources) compile(ctx context.Context, path string, drafts []*draft) (c compiledSource, anew bool, err error) {
	known := s.compiled[path]
	now, err := durable.StampAt(path)
	if err != nil {
		return known, false, fmt.Errorf("source: %w", err)
	}
	for _, d := range drafts {
		if d.text != nil && now.SameFile(d.base) {
			c, err = s.compileDraft(path, d, known.part)
			return c, c.part != known.part, err
		}
	}
	if known.sure && (known.stamp == now || s.isOurs(now) && now.SameWrite(known.stamp)) {
		return known, false, nil
	}
	for deadline := time.Now().Add(editorPatience); ; pause.For(ctx, glance) {
		part, at, err := s.compileOnce(path, known.part)
		if err != nil {
			return known, false, err
		}
		if part != nil {
			sure := at.Old(time.Now()) || s.isOurs(at)
			return compiledSource{at, sure, part}, part != known.part, nil
		}
		if time.Now().After(deadline) {
			return known, false, fmt.Errorf("source %s: somebody has it open for writing, or changes it all the time", path)
		}
		if err := ctx.Err(); err != nil {
			return known, false, err
		}
	}
}

// isOurs reports whether dnsgate itself wrote the version with this stamp.
func (s *sources) isOurs(at durable.Stamp) bool { return s.wrote != nil && s.wrote(at) }

// compileDraft compiles the next version of the file at path, which nobody else knows.
func (s *sources) compileDraft(path string, d *draft, known *tinydns.Part) (compiledSource, error) {
	info, err := d.Stat()
	if err != nil {
		return compiledSource{}, fmt.Errorf("source: %w", err)
	}
	part, err := s.encode(path, bytes.NewReader(d.text), known)
	return compiledSource{durable.StampOf(info), true, part}, err
}

// encode compiles text. known is the last version, or nil.
func (s *sources) encode(path string, text io.ReadSeeker, known *tinydns.Part) (*tinydns.Part, error) {
	if part, same := known.Edited(text, s.dialect); same {
		return part, nil
	}
	if _, err := text.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return tinydns.Encode(path, text, s.dialect)
}

// compileOnce returns no part when the file is being written. known is the last version,
// or nil.
func (s *sources) compileOnce(path string, known *tinydns.Part) (*tinydns.Part, durable.Stamp, error) {
	f, info, err := openVersion(path)
	if err != nil {
		return nil, durable.Stamp{}, fmt.Errorf("source: %w", err)
	}
	defer f.Close()
	if openForWriting(f) == opened {
		return nil, durable.Stamp{}, nil
	}
	part, err := s.encode(path, io.NewSectionReader(f, 0, info.Size()), known)
	if openForWriting(f) == opened {
		return nil, durable.Stamp{}, nil
	}
	if now, statErr := durable.StampAt(path); statErr == nil && now != durable.StampOf(info) {
		return nil, durable.Stamp{}, nil
	}
	return part, durable.StampOf(info), err
}

// newest is the latest modification of the sources, in Unix seconds.
func (s *sources) newest() int64 {
	var newest int64
	for _, c := range s.compiled {
		newest = max(newest, int64(c.stamp.Mtime.Sec))
	}
	return newest
}

// stamps tells the versions of all sources, for a builder that does not
// compile them.
func (s *sources) stamps() (map[string]durable.Stamp, error) {
	paths, missing := s.find()
	if len(missing) > 0 {
		return nil, missing[0]
	}
	stamps := make(map[string]durable.Stamp, len(paths))
	for _, path := range paths {
		at, err := durable.StampAt(path)
		if err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
		stamps[path] = at
	}
	return stamps, nil
}
