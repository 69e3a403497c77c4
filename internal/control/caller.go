package control

import (
	"bufio"
	"net"
	"sync"
	"time"
)

// caller is one client's connection.
type caller struct {
	conn *net.UnixConn
	in   *bufio.Reader
	by   who
	idle time.Duration

	mu sync.Mutex // one frame at a time
}

// frame sends one. A client that does not take it ends its connection.
func (c *caller) frame(kind byte, content []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn.SetWriteDeadline(time.Now().Add(c.idle))
	err := writeFrame(c.conn, kind, content)
	if err != nil {
		c.conn.Close()
	}
	return err
}

// stream is one of a command's outputs.
type stream struct {
	to   *caller
	kind byte
}

func (s stream) Write(b []byte) (int, error) {
	if err := s.to.frame(s.kind, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// input is the client's standard input. The server asks for it at the first Read.
type input struct {
	from  *caller
	asked bool
}

func (i *input) Read(b []byte) (int, error) {
	if !i.asked {
		i.asked = true
		if err := i.from.frame(wantsInput, nil); err != nil {
			return 0, err
		}
	}
	return i.from.in.Read(b)
}
