package authkeys

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"dnsgate/internal/durable"

	"golang.org/x/crypto/ssh"
)

// maxRacing is how long an edit starts over because others changed the file meanwhile.
// Our own edits wait for each other, but not in a fair order.
const maxRacing = 10 * time.Second

// NewLine is a line to be added, without its line end.
type NewLine struct {
	Text string
	At   string // where it was read, for errors: "standard input:3"
}

// maxRefusals is how many refused lines of one edit are reported.
const maxRefusals = 20

// Add appends lines to the authorized_keys file at path, all or none, and returns their
// grants. It makes the file if it is missing. It refuses lines that Parse would refuse,
// and a key that is in the file or in another new line already; the error joins those
// of the first lines. Every other byte stays; only a missing last line end is added.
func Add(path string, lines ...NewLine) ([]Grant, error) {
	added := make([]Grant, len(lines))
	var bad refusals
	for i, line := range lines {
		var err error
		if added[i], err = parseNew(line.Text); err != nil {
			bad.add("%s: %w", line.At, err)
		}
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	err := edit(path, true, func(content []byte) ([]byte, error) {
		if len(content) > 0 && !bytes.HasSuffix(content, []byte("\n")) {
			content = append(content, '\n')
		}
		at := make(map[string]string) // the place of a key that is there already
		next := 1
		for _, e := range entries(content) {
			at[e.grant.Fingerprint] = fmt.Sprintf("%s:%d: has this key already", path, e.grant.Line)
			next = e.grant.Line + 1
		}
		var bad refusals
		for i, line := range lines {
			fingerprint := added[i].Fingerprint
			if where, twice := at[fingerprint]; twice {
				bad.add("%s: %s, %s", line.At, where, fingerprint)
			}
			at[fingerprint] = line.At + " has the same key"
			added[i].Line = next + i
			content = append(append(content, line.Text...), '\n')
		}
		return content, bad.err()
	})
	if err != nil {
		return nil, err
	}
	return added, nil
}

func parseNew(line string) (Grant, error) {
	if strings.Contains(line, "\n") || len(line) >= MaxLine {
		return Grant{}, fmt.Errorf("the new line holds a line end, or is longer than %d bytes", MaxLine)
	}
	if !holdsKey([]byte(line)) {
		return Grant{}, errors.New("the new line is blank or a comment")
	}
	g, _, err := parseLine(line)
	return g, err
}

// refusals are the reasons why lines are refused.
type refusals struct {
	told []error
	more int
}

func (r *refusals) add(format string, args ...any) {
	if len(r.told) == maxRefusals {
		r.more++
		return
	}
	r.told = append(r.told, fmt.Errorf(format, args...))
}

func (r *refusals) err() error {
	if r.more > 0 {
		return errors.Join(append(r.told, fmt.Errorf("and %d more lines", r.more))...)
	}
	return errors.Join(r.told...)
}

// Remove takes every line of one key, refused lines too, out of the authorized_keys
// file at path, and returns their grants. Every other byte stays. See find for which,
// and for the error.
func Remove(path, which string) (removed []Grant, err error) {
	err = edit(path, false, func(content []byte) ([]byte, error) {
		all := entries(content)
		fingerprint, err := find(path, all, which)
		if err != nil {
			return nil, err
		}
		var kept []byte
		removed = nil
		for _, e := range all {
			if e.grant.Fingerprint == fingerprint {
				removed = append(removed, e.grant)
			} else {
				kept = append(kept, e.text...)
			}
		}
		return kept, nil
	})
	return removed, err
}

// Replace puts key into the line of another key: the line then grants the same to the
// new key, and nothing to the old one. The new comment replaces the old one, unless it
// is empty. See find for which, and for the error.
func Replace(path, which string, key ssh.PublicKey, comment string) (before, after Grant, err error) {
	err = edit(path, false, func(content []byte) ([]byte, error) {
		all := entries(content)
		fingerprint, err := find(path, all, which)
		if err != nil {
			return nil, err
		}
		var old *entry
		for i, e := range all {
			switch e.grant.Fingerprint {
			case ssh.FingerprintSHA256(key):
				return nil, fmt.Errorf("%s:%d: has the new key already", path, e.grant.Line)
			case fingerprint:
				if old != nil {
					return nil, fmt.Errorf("%s:%d: has the same key as line %d; take one of them away first", path, e.grant.Line, old.grant.Line)
				}
				old = &all[i]
			}
		}
		text, err := old.withKey(key, comment)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, old.grant.Line, err)
		}
		if after, err = parseNew(text); err != nil {
			return nil, fmt.Errorf("%s:%d: with the new key: %w", path, old.grant.Line, err)
		}
		before, after.Line = old.grant, old.grant.Line
		old.text = []byte(text + "\n")
		var replaced []byte
		for _, e := range all {
			replaced = append(replaced, e.text...)
		}
		return replaced, nil
	})
	return before, after, err
}

// edit replaces the file's content with the result of change. It holds a lock on the
// file itself, so that such edits follow each other and leave nothing behind. It starts
// over when anybody else changes the file.
func edit(path string, create bool, change func([]byte) ([]byte, error)) error {
	for start := time.Now(); time.Since(start) < maxRacing; {
		err := editOnce(path, create, change)
		if !errors.Is(err, errRace) {
			return err
		}
	}
	return fmt.Errorf("%s: somebody else keeps changing it; try again", path)
}

var errRace = errors.New("the file changed meanwhile")

func editOnce(path string, create bool, change func([]byte) ([]byte, error)) error {
	lock, err := lockFile(path, create)
	if err != nil {
		return err
	}
	defer lock.Close()
	before, err := lock.Stat()
	if err != nil {
		return err
	}
	if err := unchanged(path, before); err != nil {
		return err
	}
	content, err := read(path)
	if err != nil {
		return err
	}
	if content, err = change(content); err != nil {
		return err
	}
	if len(content) > MaxFile {
		return fmt.Errorf("%s: would be longer than %d bytes", path, MaxFile)
	}
	if err := unchanged(path, before); err != nil {
		return err
	}
	return durable.WriteFile(path, content, 0o644)
}

// lockFile opens and locks the file, which may have lost its name meanwhile. The file
// holds nothing secret, so a new one is readable: the gateway may run as another user
// than the operator.
func lockFile(path string, create bool) (*os.File, error) {
	flags := os.O_RDONLY | syscall.O_NONBLOCK
	if create {
		folder, err := resolve(filepath.Dir(path))
		if err == nil {
			err = checkFolder(folder)
		}
		if err != nil {
			return nil, err
		}
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if err != nil {
		return nil, err
	}
	if err := durable.Lock(f, durable.Forever); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// unchanged returns errRace unless path still is the file of before, unwritten.
func unchanged(path string, before fs.FileInfo) error {
	now, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return errRace
	}
	if err != nil {
		return err
	}
	if !os.SameFile(before, now) || before.Size() != now.Size() || !before.ModTime().Equal(now.ModTime()) {
		return errRace
	}
	return nil
}
