package datafile

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dnsgate/internal/durable"
)

// ledger is a durable set of words that a writer has to remember across runs, so that
// it removes only what it once wrote. It is a file of lines beside its subject. Losing
// it loses nothing but that knowledge.
type ledger struct {
	path  string
	words map[string]bool // nil: not read yet
}

// maxWords is how many words a ledger may have: half as much again as max_hosts is
// by default. Each takes about 100 bytes.
const maxWords = 1_500_000

// beside is the path of a hidden file next to path.
func beside(path, suffix string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+suffix)
}

func (l *ledger) has(word string) bool { return l.words[word] }

// add makes words durable; those that are there already cost nothing.
func (l *ledger) add(words []string) error {
	if err := l.read(); err != nil {
		return err
	}
	var lines strings.Builder
	for _, word := range words {
		if !l.words[word] {
			lines.WriteString(word + "\n")
		}
	}
	if lines.Len() == 0 {
		return nil
	}
	folder, err := durable.OpenFolder(filepath.Dir(l.path))
	if err != nil {
		return err
	}
	defer folder.Close()
	f, err := folder.OpenRegular(filepath.Base(l.path), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(lines.String()); err != nil {
		return fmt.Errorf("writing %s: %w", l.path, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", l.path, err)
	}
	if len(l.words) == 0 { // perhaps a new file
		if err := folder.Sync(); err != nil {
			return err
		}
	}
	for _, word := range words {
		l.words[word] = true
	}
	return nil
}

// read reads the words of the file. A last line that a crash cut short is a word that
// nobody asks for.
func (l *ledger) read() error {
	if l.words != nil {
		return nil
	}
	folder, err := durable.OpenFolder(filepath.Dir(l.path))
	if err != nil {
		return err
	}
	defer folder.Close()
	f, err := folder.OpenRegular(filepath.Base(l.path), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		l.words = make(map[string]bool)
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	words := make(map[string]bool)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if words[lines.Text()] = true; len(words) > maxWords {
			return fmt.Errorf("%s: more than %d lines, so that dnsgate cannot have written it; remove it", l.path, maxWords)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", l.path, err)
	}
	l.words = words
	return nil
}

// keep drops the words that wanted does not want.
func (l *ledger) keep(wanted func(word string) bool) error {
	if err := l.read(); err != nil {
		return err
	}
	var lines strings.Builder
	kept := make(map[string]bool)
	for word := range l.words {
		if wanted(word) {
			kept[word] = true
			lines.WriteString(word + "\n")
		}
	}
	if len(kept) == len(l.words) {
		return nil
	}
	folder, err := durable.OpenFolder(filepath.Dir(l.path))
	if err != nil {
		return err
	}
	defer folder.Close()
	batch, name := durable.NewBatch(folder), filepath.Base(l.path)
	defer batch.Abort()
	if err := batch.Replace(name, []byte(lines.String()), 0o644); err != nil {
		return err
	}
	failed, err := batch.Commit()
	if err := errors.Join(failed[name], err); err != nil {
		return err
	}
	l.words = kept
	return nil
}
