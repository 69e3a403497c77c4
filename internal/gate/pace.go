package gate

import "time"

// pace counts n bytes read, and holds the reader back while more data would only pile
// up. Otherwise the library would hold 2 MiB for each channel, and 256 KiB for each
// answer that the client does not read.
func (c *conn) pace(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unasked += n
	c.unsent += n
	if !c.ahead() {
		return
	}
	defer time.AfterFunc(c.limits.IdleTimeout, func() { c.Close() }).Stop()
	for c.ahead() && !c.closed {
		c.moved.Wait()
	}
}

// ahead reports whether the reader is too far ahead of the writer, or of a channel that
// waits for its command. A batch's input may lie in between. Beyond a share of its own,
// a connection reads ahead on the pool's account.
func (c *conn) ahead() bool {
	n := 0
	if c.writing {
		n = c.unsent
	}
	if c.waiting > 0 && c.batches == 0 {
		n = max(n, c.unasked)
	}
	return n > maxReadAhead || !c.draw(max(n-ownReadAhead, 0))
}

// draw changes the connection's share of the gate's pool to n bytes. It is false if the
// pool has less; the share then stays.
func (c *conn) draw(n int) bool {
	if !c.gate.readAhead.take(n - c.taken) {
		return false
	}
	c.taken = n
	return true
}

// await takes a place among the channels that wait for their commands, once
// there is one. It is false if the connection has ended.
func (c *conn) await() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.waiting >= maxWaiting && !c.closed {
		c.moved.Wait()
	}
	if c.closed {
		return false
	}
	if c.waiting++; c.waiting == 1 {
		c.unasked = 0
	}
	return true
}

// asked tells of a request of n bytes that a waiting channel has dealt with.
func (c *conn) asked(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unasked -= n
	c.moved.Broadcast()
}

// awaited gives the place back.
func (c *conn) awaited() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting--
	c.unasked = 0
	c.moved.Broadcast()
}
