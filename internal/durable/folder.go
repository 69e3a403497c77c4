package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Folder is an open folder that somebody else may exchange: all work is done in the
// folder that was opened, and no link in it is followed.
type Folder struct {
	*os.File
}

// OpenFolder opens a folder. Its path is followed as Resolve does, so it leads through
// no link of others and to nothing that Forbid names. An exchange on the way meanwhile
// is an error. It does not wait for a FIFO.
func OpenFolder(path string) (*Folder, error) {
	f, err := enterFolder(path)
	if err != nil {
		return nil, err
	}
	if err := checkForbidden(path, f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// enterFolder is OpenFolder without regard to Forbid.
func enterFolder(path string) (*Folder, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	resolved, err := follow(path, abs)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(resolved, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err == nil && real != resolved {
		err = fmt.Errorf("%s: it was exchanged for %s just now", resolved, real)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Folder{f}, nil
}

// OpenRegular is OpenRegular of a file of the folder. A link is an error.
func (f *Folder) OpenRegular(name string, flags int, mode fs.FileMode) (*os.File, error) {
	file, err := f.openat(name, flags, mode)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link, which a folder that dnsgate writes may not have; remove it", f.path(name))
	}
	if err != nil {
		return nil, err
	}
	if err := checkRegular(file, f.path(name)); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (f *Folder) openat(name string, flags int, mode fs.FileMode) (*os.File, error) {
	if strings.Contains(name, "/") {
		return nil, fmt.Errorf("%q is not the name of a file", name)
	}
	flags |= unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	for {
		fd, err := unix.Openat(int(f.Fd()), name, flags, uint32(mode.Perm()))
		if err == nil {
			return os.NewFile(uintptr(fd), f.path(name)), nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return nil, &fs.PathError{Op: "open", Path: f.path(name), Err: err}
		}
	}
}

func (f *Folder) remove(name string) error {
	if err := unix.Unlinkat(int(f.Fd()), name, 0); err != nil {
		return &fs.PathError{Op: "remove", Path: f.path(name), Err: err}
	}
	return nil
}

func (f *Folder) rename(from, to string) error {
	if err := unix.Renameat(int(f.Fd()), from, int(f.Fd()), to); err != nil {
		return &os.LinkError{Op: "rename", Old: f.path(from), New: f.path(to), Err: err}
	}
	return nil
}

func (f *Folder) path(name string) string { return filepath.Join(f.Name(), name) }

// create makes the new version of a file under a temporary name, with the owner
// and mode of the old one, or else mode.
func (f *Folder) create(name string, mode fs.FileMode) (file *os.File, temp string, err error) {
	temp = tempName(name)
	if file, err = f.openat(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, "", fmt.Errorf("replacing %s: %w", f.path(name), err)
	}
	if err := f.inherit(file, name, mode); err != nil {
		file.Close()
		f.remove(temp)
		return nil, "", fmt.Errorf("replacing %s: %w", f.path(name), err)
	}
	return file, temp, nil
}

// inherit gives the new version of a file the owner and mode of the old one, or else mode.
func (f *Folder) inherit(file *os.File, name string, mode fs.FileMode) error {
	var old unix.Stat_t
	err := unix.Fstatat(int(f.Fd()), name, &old, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, syscall.ENOENT):
		return file.Chmod(mode)
	case err != nil:
		return err
	case old.Mode&unix.S_IFMT != unix.S_IFREG:
		return errors.New("it is no regular file; remove it")
	}
	return giveOwner(file, int(old.Uid), int(old.Gid), fs.FileMode(old.Mode).Perm())
}

// giveOwner gives a new file the owner, group and mode of the one that it will
// replace.
func giveOwner(f *os.File, uid, gid int, mode fs.FileMode) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	is := info.Sys().(*syscall.Stat_t)
	if int(is.Uid) != uid || int(is.Gid) != gid {
		if err := f.Chown(uid, gid); err != nil {
			return fmt.Errorf("keeping its owner: %w", err)
		}
	}
	if info.Mode() == mode {
		return nil
	}
	return f.Chmod(mode)
}
