package datafile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"dnsgate/internal/durable"
	"dnsgate/internal/records"
)

// newHostFile is a host's file under its temporary name, or one to remove.
type newHostFile struct {
	path   string
	temp   string // "": remove
	target string // path, links resolved
}

// prepare writes the new file of a hostname; it returns nil if it is right as
// it is.
func (w *hostsWriter) prepare(name records.Name, again bool) (*newHostFile, error) {
	n := &newHostFile{path: filepath.Join(w.folder, string(name))}
	var content []byte
	for _, h := range w.hosts[name] {
		content = w.form.append(content, h)
	}
	same, missing, err := hasContent(n.path, content)
	if err != nil {
		return nil, err
	}
	switch {
	case len(content) == 0 && missing:
		return nil, nil
	case len(content) == 0 && !w.empty:
		return n, nil
	case same && !again:
		return nil, nil
	}
	f, err := durable.CreateHere(n.path, 0o644)
	if err != nil {
		return nil, err
	}
	n.temp, n.target = f.Name(), f.Path()
	_, err = f.Write(content)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		n.abort()
		return nil, err
	}
	step(durable.Written, n.path)
	return n, nil
}

// hasContent reports whether the file at path has this content. What is no
// regular file of its own, such as a link or a FIFO, is an error: somebody put
// it there to have another file replaced, or to be waited for.
func hasContent(path string, content []byte) (same, missing bool, err error) {
	f, err := durable.OpenRegular(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, true, nil
	case errors.Is(err, syscall.ELOOP):
		return false, false, fmt.Errorf("%s is a symbolic link, which a hosts folder may not have; remove it", path)
	case err != nil:
		return false, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() != int64(len(content)) {
		return false, false, err
	}
	old := make([]byte, len(content))
	_, err = io.ReadFull(f, old)
	return bytes.Equal(old, content), false, err
}

func (n *newHostFile) sync() error {
	if n.temp == "" {
		return nil
	}
	f, err := os.Open(n.temp)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (n *newHostFile) rename() error {
	if n.temp == "" {
		err := os.Remove(n.path)
		step(durable.Renamed, n.path)
		return err
	}
	if err := os.Rename(n.temp, n.target); err != nil {
		return err
	}
	n.temp = ""
	step(durable.Renamed, n.path)
	return nil
}

// abort removes the temporary file; after rename there is none.
func (n *newHostFile) abort() {
	if n.temp != "" {
		os.Remove(n.temp)
	}
}
