package migrate

import (
	"bufio"
	"fmt"
	"os"
	"syscall"
)

// maxLine is the length, in bytes, of the longest line read.
const maxLine = 1 << 20

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
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
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

// room returns an error once there are too many hosts.
func (c *collector) room() error {
	if len(c.hosts) > maxHosts {
		return fmt.Errorf("more than %d hosts", maxHosts)
	}
	return nil
}
