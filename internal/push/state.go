package push

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"dnsgate/internal/sysexits"
)

// state is the folder that pushes share, those of the script among them:
//
//	STATE/GATEWAY:PORT/HOST.../acked4   "TIME ADDRESSES", written after good or nochg
//	STATE/GATEWAY:PORT/HOST.../newest4  the push that may still send for this family
//	STATE/lock                          held during an attempt, not between two
type state struct {
	folder, target string
	id             string // of the push
	locked         bool
}

// openState makes the folders of a job. An id is given to a push that another
// process has begun.
func openState(c Config, id string) (*state, error) {
	s := &state{folder: c.State, id: id}
	if id == "" {
		s.id = newID()
	}
	if s.folder == "" {
		s.folder = defaultState()
	}
	below := append([]string{fmt.Sprintf("%s:%d", c.Gateway, c.Port)}, c.Hosts...)
	for i, name := range below {
		below[i] = fileName(name)
	}
	s.target = filepath.Join(s.folder, filepath.Join(below...))
	if err := os.MkdirAll(s.target, 0o700); err != nil {
		return nil, failure(sysexits.IO, "%s: cannot be made or written; name another folder with \"state\" in %s: %w", s.folder, c.file, err)
	}
	return s, trustFolder(s.folder)
}

var pushes atomic.Uint64 // of this process

func newID() string { return fmt.Sprintf("%d.%d.%d", os.Getpid(), time.Now().Unix(), pushes.Add(1)) }

// claim makes this the newest push for some families.
func (s *state) claim(families []family) error {
	s.id = newID()
	for _, f := range families {
		if err := s.save("newest", f, s.id); err != nil {
			return err
		}
	}
	return nil
}

func (s *state) isNewest(f family) bool {
	return s.load("newest", f) == s.id
}

// acknowledge notes that the gateway has these addresses.
func (s *state) acknowledge(f family, what string) error {
	return s.save("acked", f, fmt.Sprintf("%d %s", time.Now().Unix(), what))
}

// acknowledged returns the last addresses that the gateway acknowledged, and
// when; "" if the note is missing or cannot be trusted.
func (s *state) acknowledged(f family) (at time.Time, what string) {
	stamp, what, _ := strings.Cut(s.load("acked", f), " ")
	seconds, ok := unixSeconds(stamp)
	if !ok {
		return time.Time{}, ""
	}
	return time.Unix(seconds, 0), strings.TrimSpace(what)
}

// forget removes the note of what was acknowledged, before anything is sent.
func (s *state) forget(families []family) error {
	for _, f := range families {
		if err := os.Remove(s.file("acked", f)); err != nil && !os.IsNotExist(err) {
			return failure(sysexits.IO, "%s: cannot be written: %w", s.target, err)
		}
	}
	return nil
}

func (s *state) file(name string, f family) string {
	return filepath.Join(s.target, name+strconv.Itoa(int(f)))
}

// load returns the first line of a file, at most 4 KiB, or "".
func (s *state) load(name string, f family) string {
	text, _ := readSource(s.file(name, f))
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(line)
}

// save replaces a file, so that others read the old line or the new.
func (s *state) save(name string, f family, line string) error {
	file := s.file(name, f)
	temporary := file + "." + s.id
	err := os.WriteFile(temporary, []byte(line+"\n"), 0o600)
	if err == nil {
		err = os.Rename(temporary, file)
	}
	if err != nil {
		os.Remove(temporary)
		return failure(sysexits.IO, "%s: cannot be written: %w", s.target, err)
	}
	return nil
}

// unixSeconds reads a time as date +%s prints it.
func unixSeconds(s string) (int64, bool) {
	if s == "" || len(s) > 11 || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
