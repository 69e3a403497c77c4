package migrate

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
)

const (
	maxLine  = 1 << 20   // bytes of the longest line read
	maxFile  = 4 << 30   // bytes of the largest file read
	maxFiles = 1_000_000 // in a folder
)

// eachLine calls do for each line of a regular file. The line is only valid
// during the call.
func eachLine(path string, do func(n int, line string) error) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO in its place is not waited for
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", path)
	}
	if info.Size() > maxFile {
		return fmt.Errorf("%s: larger than %d bytes", path, int64(maxFile))
	}
	lines := bufio.NewScanner(io.LimitReader(f, maxFile)) // it may grow meanwhile
	lines.Buffer(nil, maxLine)
	lines.Split(splitLine)
	n := 0
	for lines.Scan() {
		n++
		if err := do(n, lines.Text()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", path, n+1, err)
	}
	return nil
}

// splitLine is a bufio.SplitFunc that leaves a carriage return in the line, as
// tinydns-data does.
func splitLine(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// readFolder returns the entries of a folder, by name.
func readFolder(path string) ([]fs.DirEntry, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(maxFiles + 1)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(entries) > maxFiles {
		return nil, fmt.Errorf("%s: more than %d files", path, maxFiles)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// room returns an error once there are too many hosts.
func (c *collector) room() error {
	if len(c.hosts) > maxHosts {
		return fmt.Errorf("more than %d hosts", maxHosts)
	}
	return nil
}
