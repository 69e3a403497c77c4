package gate

import (
	"net"
	"runtime"
	"time"
)

// Write takes b, and sends it soon. Whatever sessions write at about the same time,
// such as a reply, its exit status and the channel's end, goes out at once. A client
// that has not proven its key gets no such memory.
//
// For speed alone: with 10 commands at once on one connection it gains half of
// their rate again, and a quarter of the rate of durable updates; where each
// connection brings one command it gains nothing (docs/performance.md).
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.proven.Load() {
		c.send(b)
		c.sent()
		return len(b), c.failed
	}
	for len(c.outgoing) > 0 && !c.fits(len(c.outgoing)+len(b)) && !c.closed && c.failed == nil {
		c.moved.Wait()
	}
	switch {
	case c.failed != nil:
		return 0, c.failed
	case c.closed:
		return 0, net.ErrClosed
	}
	c.outgoing = append(c.outgoing, b...)
	if !c.writing {
		c.writing = true
		go c.sendOutgoing()
	}
	return len(b), nil
}

// fits reports whether n bytes may wait to be sent. Beyond a share of its own, a
// connection takes room from a pool.
func (c *conn) fits(n int) bool {
	if n > ownOutgoing && !c.wide {
		c.wide = c.gate.readAhead.take(wideOutgoing)
	}
	return n <= ownOutgoing || c.wide && n <= maxOutgoing
}

// sendOutgoing sends until nothing is left to send; forget waits for it. A client that
// does not read ends its connection.
func (c *conn) sendOutgoing() {
	runtime.Gosched() // sessions that can run now may have something to add
	c.mu.Lock()
	defer c.mu.Unlock()
	var b []byte
	for len(c.outgoing) > 0 && c.failed == nil {
		b, c.outgoing = c.outgoing, b[:0]
		late := time.AfterFunc(c.limits.IdleTimeout, func() { c.Conn.Close() })
		c.send(b)
		late.Stop()
	}
	c.outgoing = nil // it may be idle for long
	if c.wide {
		c.wide = false
		c.gate.readAhead.give(wideOutgoing)
	}
	c.sent()
}

// send writes b to the client, with c.mu given up meanwhile.
func (c *conn) send(b []byte) {
	c.writing, c.unsent = true, 0
	c.mu.Unlock()
	_, err := c.Conn.Write(b)
	c.mu.Lock()
	if err != nil {
		c.failed = err
	}
	c.moved.Broadcast()
}

// sent ends what send began, and the connection if that is to be closed.
func (c *conn) sent() {
	c.writing = false
	c.moved.Broadcast()
	if c.closed {
		c.Conn.Close()
	}
}

// awaitSent waits until nothing is being sent any more.
func (c *conn) awaitSent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.writing {
		c.moved.Wait()
	}
}
