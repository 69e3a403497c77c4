package control

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// peerUID is the user at the other end of a connection.
func peerUID(c *net.UnixConn) (uint32, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return 0, fmt.Errorf("asking who connects: %w", err)
	}
	return cred.Uid, nil
}

// overflowUID stands for users of another namespace that have no number here. The
// kernel shows it for any of them.
func overflowUID() uint32 {
	content, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(content)), 10, 32); err == nil {
			return uint32(n)
		}
	}
	return 65534
}

// maxSocketPath is the length, in bytes, of the longest path in an address (unix(7)),
// without its final zero.
const maxSocketPath = 107

// shorten returns a path for the socket that fits into an address. It is good until
// done is called.
func shorten(path string) (short string, done func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path)), func() { folder.Close() }, nil
}
