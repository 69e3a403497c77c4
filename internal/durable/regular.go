package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// MaxSize is the size, in bytes, of the largest file that is read. A sparse
// file counts with its holes.
const MaxSize = 4 << 30

// OpenRegular opens a file that somebody else may have replaced. It neither blocks on a
// FIFO nor opens a device: anything but a regular file of at most MaxSize is an error.
// flags are those of os.OpenFile.
func OpenRegular(path string, flags int, mode fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flags|syscall.O_NONBLOCK, mode)
	if err != nil {
		return nil, err
	}
	if err := checkRegular(f, path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkRegular(f *os.File, path string) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: not a regular file", path)
	case info.Size() > MaxSize:
		return fmt.Errorf("%s: %d bytes; files over 4 GiB are not read", path, info.Size())
	}
	return nil
}

// forbidden are the places that no replacement may lead to; see Forbid.
var forbidden struct {
	sync.Mutex
	paths []string
}

// Forbid keeps every later Create and Resolve from leading to one of paths, or
// into it: files and folders of the gateway itself.
func Forbid(paths ...string) {
	forbidden.Lock()
	defer forbidden.Unlock()
	forbidden.paths = forbidden.paths[:0]
	for _, path := range paths {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		forbidden.paths = append(forbidden.paths, filepath.Clean(path))
	}
}

func checkForbidden(path, resolved string) error {
	forbidden.Lock()
	defer forbidden.Unlock()
	inside := func(place string) bool { return resolved == place || strings.HasPrefix(resolved, place+"/") }
	if slices.ContainsFunc(forbidden.paths, inside) {
		return fmt.Errorf("replacing %s: it leads to %s, which is the gateway's own; remove that link", path, resolved)
	}
	return nil
}

// Resolve follows the symbolic links of path, those of its folders too, to the file
// that a replacement of path replaces. A last component that does not exist yet is
// kept. A link that belongs to neither root nor this process's user is refused: its
// owner would decide which file is replaced. A place that Forbid names is refused too.
func Resolve(path string) (string, error) {
	resolved, err := inFolder(path)
	if err != nil {
		return "", err
	}
	if info, err := os.Lstat(resolved); err == nil && info.Mode().Type() == fs.ModeSymlink {
		if resolved, err = follow(path, resolved); err != nil {
			return "", err
		}
	}
	return resolved, checkForbidden(path, resolved)
}

// inFolder is path with the links of its folders followed, but not of itself.
func inFolder(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	folder, err := follow(path, filepath.Dir(abs))
	if err != nil {
		return "", err
	}
	return filepath.Join(folder, filepath.Base(abs)), nil
}

// follow is abs without symbolic links. Everything on the way must be there.
func follow(path, abs string) (string, error) {
	resolved, rest, links := "/", strings.Split(abs, "/"), 0
	for len(rest) > 0 {
		next := filepath.Join(resolved, rest[0]) // of "..", the parent of what is resolved
		rest = rest[1:]
		info, err := os.Lstat(next)
		switch {
		case errors.Is(err, fs.ErrNotExist) && links > 0:
			return "", fmt.Errorf("replacing %s: a symbolic link that leads nowhere", path)
		case err != nil:
			return "", err
		case info.Mode().Type() != fs.ModeSymlink:
			resolved = next
			continue
		}
		if links++; links > 40 { // as the kernel's limit
			return "", fmt.Errorf("replacing %s: too many symbolic links", path)
		}
		to, err := readOwnLink(path, next, info)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(to) {
			resolved = "/"
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return resolved, nil
}

// readOwnLink returns where a link on the way to path leads, if it is one of
// those that are followed.
func readOwnLink(path, link string, info fs.FileInfo) (string, error) {
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 && int(owner) != os.Geteuid() {
		return "", fmt.Errorf("replacing %s: %s is a symbolic link of user %d; only links of root or of dnsgate's user are followed, so remove it", path, link, owner)
	}
	return os.Readlink(link)
}
