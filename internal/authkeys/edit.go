package authkeys

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"dnsgate/internal/durable"

	"golang.org/x/crypto/ssh"
)

// maxRacing is how long an edit starts anew because others changed the file
// meanwhile. Edits of our own wait for each other, but not in a fair order.
const maxRacing = 10 * time.Second

// Add appends line to the authorized_keys file at path, which is made if there
// is none, and returns what it grants. It refuses a line that Parse would, and
// a key that any line of the file has already. Every other byte stays; only a
// missing last line end is added.
func Add(path, line string) (Grant, error) {
	if strings.ContainsAny(line, "\n") || len(line) >= MaxLine {
		return Grant{}, fmt.Errorf("the new line holds a line end, or is longer than %d bytes", MaxLine)
	}
	if !holdsKey([]byte(line)) {
		return Grant{}, errors.New("the new line is blank or a comment")
	}
	grant, key, err := parseLine(line)
	if err != nil {
		return Grant{}, fmt.Errorf("the new line: %w", err)
	}
	err = edit(path, true, func(content []byte) ([]byte, error) {
		if n := slices.Index(keyLines(content), ssh.FingerprintSHA256(key)); n >= 0 {
			return nil, fmt.Errorf("%s:%d: has this key already, %s", path, n+1, grant.Fingerprint)
		}
		if len(content) > 0 && !bytes.HasSuffix(content, []byte("\n")) {
			content = append(content, '\n')
		}
		grant.Line = bytes.Count(content, []byte("\n")) + 1
		return append(content, line+"\n"...), nil
	})
	if err != nil {
		return Grant{}, err
	}
	return grant, nil
}

// Remove takes every line with the key of that fingerprint, a refused one too,
// out of the authorized_keys file at path. Every other byte stays. The error
// wraps ErrUnknown when there is no such line.
func Remove(path, fingerprint string) error {
	fingerprint = "SHA256:" + strings.TrimPrefix(fingerprint, "SHA256:")
	return edit(path, false, func(content []byte) ([]byte, error) {
		var kept []byte
		fingerprints := keyLines(content)
		for i, line := range slices.Collect(bytes.Lines(content)) {
			if fingerprints[i] != fingerprint {
				kept = append(kept, line...)
			}
		}
		if len(kept) == len(content) {
			return nil, fmt.Errorf("%s: no line has the key %s: %w", path, quote(fingerprint), ErrUnknown)
		}
		return kept, nil
	})
}

// keyLines returns the fingerprint of each line's key, empty where none can be
// read.
func keyLines(content []byte) []string {
	var fingerprints []string
	for line := range bytes.Lines(content) {
		fingerprint := ""
		if len(line) <= MaxLine && holdsKey(line) {
			if _, key, _ := parseLine(string(bytes.TrimSuffix(line, []byte("\n")))); key != nil {
				fingerprint = ssh.FingerprintSHA256(key)
			}
		}
		fingerprints = append(fingerprints, fingerprint)
	}
	return fingerprints
}

// edit replaces the file's content by what change makes of it. It holds a lock
// on the file itself, so that edits of this kind follow each other and leave
// nothing behind, and starts anew when anybody else changes the file under it.
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

// lockFile opens and locks the file, which may have lost its name meanwhile.
// The file holds nothing secret, so a new one is readable: the gateway may run
// as another user than who adds keys.
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
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
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
