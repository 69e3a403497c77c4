package authkeys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// maxLinks is how many symbolic links one path may lead through, as in the
// kernel (path_resolution(7)).
const maxLinks = 40

// Load reads the authorized_keys file at path and reports the faults of its lines. The
// error is about the whole file: it cannot be read, or somebody other than root and
// this process's user could have written it.
func Load(path string) (*Set, []Problem, error) {
	content, err := read(path)
	if err != nil {
		return nil, nil, err
	}
	set, problems := Parse(path, content, time.Now())
	return set, problems, nil
}

// read returns the content of a file that only root and this process's user can have
// written, as StrictModes in sshd_config(5) asks. This holds for every folder on the
// way too, so nobody else can exchange the file meanwhile. It is judged and read
// through one descriptor.
func read(path string) ([]byte, error) {
	resolved, err := resolve(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(resolved, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if err := checkOwner(resolved, info); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(content) > MaxFile {
		return nil, fmt.Errorf("%s: longer than %d bytes", path, MaxFile)
	}
	return content, nil
}

// resolve follows path to the file, through symbolic links, and checks every
// folder and link on the way.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	at, left, links := "/", strings.Split(path, "/"), 0
	for len(left) > 0 {
		if err := checkFolder(at); err != nil {
			return "", err
		}
		next := filepath.Join(at, left[0])
		left = left[1:]
		info, err := os.Lstat(next)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: too many symbolic links", path)
		}
		if err := checkOwner(next, info); err != nil {
			return "", err
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		left = append(strings.Split(target, "/"), left...)
	}
	return at, nil
}

func checkFolder(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: not a folder", path)
	}
	return checkOwner(path, info)
}

// checkOwner refuses a file, folder or link that somebody other than root and
// this process's user could change. In a sticky folder they can only change
// what is theirs. A link has no mode of its own.
func checkOwner(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("this system does not tell the owner of a file")
	}
	if uid := int(stat.Uid); uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("%s: belongs to user %d, but must belong to root or to user %d, who runs dnsgate", path, uid, os.Geteuid())
	}
	mode := info.Mode()
	if mode&fs.ModeSymlink != 0 || mode.IsDir() && mode&fs.ModeSticky != 0 {
		return nil
	}
	if mode&0o022 != 0 {
		return fmt.Errorf("%s: group or others may write it (mode %04o); run chmod go-w", path, mode.Perm())
	}
	return nil
}
