package gate

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a client's connection. It keeps the deadlines itself: the SSH
// library clears and renews them at each byte, so what it asks for is
// ignored.
type conn struct {
	net.Conn
	gate     *Gate
	source   netip.Addr
	limits   *Limits
	accepted time.Time
	quickAck func()

	loginBytes int // read before the key was proven; belongs to the reader
	offers     int // accepted keys that were offered; belongs to the reader
	proven     atomic.Bool
	opens      atomic.Int32 // channels being opened or open
	refused    atomic.Int32 // channels refused

	mu       sync.Mutex
	running  int // commands
	released bool
}

func newConn(g *Gate, nc net.Conn, source netip.Addr, limits *Limits) *conn {
	c := &conn{
		Conn: nc, gate: g, source: source, limits: limits,
		accepted: time.Now(), quickAck: quickAcker(nc),
	}
	nc.SetDeadline(c.accepted.Add(limits.LoginGraceTime))
	return c
}

// SetDeadline does nothing; see conn.
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

var errLoginBytes = errors.New("too many bytes before the login")

func (c *conn) Read(b []byte) (int, error) {
	if !c.proven.Load() {
		if c.loginBytes >= maxLoginBytes {
			return 0, errLoginBytes
		}
		b = b[:min(len(b), maxLoginBytes-c.loginBytes)]
	}
	n, err := c.Conn.Read(b)
	c.quickAck()
	if !c.proven.Load() {
		c.loginBytes += n
	}
	return n, err
}

// prove ends the login: the connection no longer counts as a stranger's.
func (c *conn) prove() {
	if c.proven.Swap(true) {
		return
	}
	c.gate.startups.end(c.source)
	c.gate.authenticated.Add(1)
	c.setDeadline()
}

// release gives back what the connection was counted for.
func (c *conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.released {
		return
	}
	c.released = true
	if c.proven.Load() {
		c.gate.authenticated.Add(-1)
	} else {
		c.gate.startups.end(c.source)
	}
}

// begin and end enclose a command.
func (c *conn) begin() { c.run(1) }
func (c *conn) end()   { c.run(-1) }

func (c *conn) run(n int) {
	c.mu.Lock()
	c.running += n
	c.mu.Unlock()
	c.setDeadline()
}

// setDeadline gives the connection the rest of its life, or, while it runs no
// command, of its idle time. Bytes and pings renew nothing.
func (c *conn) setDeadline() {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.accepted.Add(c.limits.MaxConnection)
	if c.running == 0 {
		if idle := time.Now().Add(c.limits.IdleTimeout); idle.Before(end) {
			end = idle
		}
	}
	c.Conn.SetDeadline(end)
}
