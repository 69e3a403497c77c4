package gate

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// giveUpAfter ends a connection whose other end has acknowledged no packet for that
// long (tcp(7), TCP_USER_TIMEOUT). Otherwise it would take hours until a line each
// second has filled the buffers.
func giveUpAfter(nc net.Conn, d time.Duration) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
	}
}
