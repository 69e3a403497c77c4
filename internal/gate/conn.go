package gate

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a client's connection. It keeps the deadlines itself and ignores those of the
// SSH library, which clears and renews them at each byte. It bounds the library's
// memory: before the login by the length of packets, after it by reading no further
// ahead than the work has come.
type conn struct {
	net.Conn
	gate     *Gate
	source   netip.Addr
	limits   *Limits
	accepted time.Time
	quickAck func()

	early      []byte      // read, not yet given to the library; belongs to the reader
	loginBytes int         // read before the key was proven; belongs to the reader
	long       int         // packets longer than maxPacket; belongs to the reader
	rest       int         // of the last packet, what is still to come; belongs to the reader
	tried      bool        // the client tried to log in; belongs to the login
	excused    bool        // its failure is not its source's fault; belongs to the login
	refusal    refusal     // of the last key that was refused; belongs to the login
	offers     int         // accepted keys that were offered; belongs to the login
	exchanges  int         // of keys; belongs to the key exchange
	login      string      // its key in logins; belongs to logins
	expired    atomic.Bool // the login took too long
	proven     atomic.Bool
	opens      atomic.Int32 // channels being opened or open
	refused    atomic.Int32 // channels refused
	proving    proving

	mu       sync.Mutex
	moved    sync.Cond // one of these changed
	running  int       // commands
	idle     time.Time // since when it runs none
	taken    int       // bytes of the gate's pool that it reads ahead
	batches  int       // of them that read their input
	screens  int       // of these that stay while they are used
	stayed   time.Time // when the last of those ended
	waiting  int       // channels that have no command yet
	unasked  int       // bytes read while channels wait, since the last command, without requests
	writing  bool
	unsent   int    // bytes read since that write began
	outgoing []byte // see Write
	wide     bool   // and it may be maxOutgoing, with room of the gate's pool
	failed   error  // of a write
	closed   bool
	released bool
}

func newConn(g *Gate, nc net.Conn, source netip.Addr, limits *Limits) *conn {
	c := &conn{
		Conn: nc, gate: g, source: source, limits: limits,
		accepted: time.Now(), quickAck: quickAcker(nc),
	}
	c.idle = c.accepted
	c.moved.L = &c.mu
	nc.SetDeadline(c.accepted.Add(limits.LoginGraceTime))
	return c
}

// SetDeadline does nothing; see conn.
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

var (
	errLoginBytes  = errors.New("too many bytes before the login")
	errLoginPacket = errors.New("too long a packet before the login")
	errLongPackets = errors.New("too many long packets")
)

func (c *conn) Read(b []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(b, c.early)
		if c.early = c.early[n:]; len(c.early) == 0 {
			c.early = nil // it is not needed again
		}
		return n, nil
	}
	if !c.proven.Load() {
		return c.readLogin(b)
	}
	// The library makes room for a packet's announced length, then asks for all of it
	// at once: so b tells the length, though it is encrypted. It queues 16 packets of
	// any length.
	if len(b) > maxPacket && len(b) != c.rest {
		if c.long++; c.long > maxLongPackets {
			return 0, errLongPackets
		}
	}
	n, err := c.Conn.Read(b)
	c.rest = len(b) - n
	c.pace(n)
	return n, err
}

// readLogin reads for a client whose key is not proven yet.
func (c *conn) readLogin(b []byte) (int, error) {
	if len(b) > maxLoginPacket {
		return 0, errLoginPacket
	}
	if c.loginBytes >= maxLoginBytes {
		return 0, errLoginBytes
	}
	into := b
	if len(b) == 1 {
		into = make([]byte, 256) // the version line, which it reads byte by byte
	}
	n, err := c.Conn.Read(into[:min(len(into), maxLoginBytes-c.loginBytes)])
	c.quickAck()
	c.loginBytes += n
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.expired.Store(true)
	}
	if len(b) < n {
		c.early = into[copy(b, into[:n]):n]
		n = len(b)
	}
	return n, err
}

// Close may be called by any goroutine, and more than once. Data written before is
// still sent, unless the client takes too long to read it.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	return c.closeLocked()
}

func (c *conn) closeLocked() error {
	c.closed = true
	c.moved.Broadcast()
	if c.writing {
		c.Conn.SetReadDeadline(time.Unix(1, 0))
		c.Conn.SetWriteDeadline(time.Now().Add(lastWords))
		return nil // the writer closes it
	}
	return c.Conn.Close()
}

func (c *conn) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// prove ends the login: the connection no longer counts as a stranger's. It is an error
// if there is no place for the key.
func (c *conn) prove(key string) error {
	if c.proven.Load() {
		return nil
	}
	evicted, err := c.gate.logins.add(key, c, c.limits.MaxLogins, c.limits.MaxLoginsPerKey)
	if err != nil {
		c.excused = true
		return err
	}
	if evicted != nil {
		c.gate.log.Info("idle connection closed", "source", evicted.source, "why", "its place was needed")
	}
	c.proven.Store(true)
	c.gate.startups.end(sourceNetwork(c.source))
	c.gate.authenticated.Add(1)
	c.setDeadline()
	return nil
}

// idleSince is when its last command ended; zero while a command runs, or after the
// end.
func (c *conn) idleSince() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running > 0 || c.closed {
		return time.Time{}
	}
	return c.idle
}

// closeIdle closes the connection, unless it runs a command or has ended.
func (c *conn) closeIdle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running > 0 || c.closed {
		return false
	}
	c.closeLocked()
	return true
}

// release gives back the connection's places in all counters.
func (c *conn) release() {
	c.mu.Lock()
	again := c.released
	c.released = true
	c.draw(0)
	c.mu.Unlock()
	if again {
		return
	}
	if c.proven.Load() {
		c.gate.logins.end(c)
		c.gate.authenticated.Add(-1)
	} else {
		c.gate.startups.end(sourceNetwork(c.source))
	}
}

// begin and end enclose a command.
func (c *conn) begin(batch bool) { c.run(1, batch) }
func (c *conn) end(batch bool)   { c.run(-1, batch) }

func (c *conn) run(n int, batch bool) {
	c.mu.Lock()
	c.running += n
	c.idle = time.Now()
	if batch {
		c.batches += n
		c.moved.Broadcast()
	}
	c.mu.Unlock()
	c.setDeadline()
}

// stay keeps the connection beyond its life, until done.
func (c *conn) stay() (done func()) {
	giveUpAfter(c.Conn, c.limits.IdleTimeout)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.screens++
	return func() {
		c.mu.Lock()
		c.screens--
		c.stayed = time.Now()
		c.mu.Unlock()
		c.setDeadline()
	}
}

// setDeadline gives the connection the rest of its life, or of its idle time while no
// command runs. Bytes and pings renew nothing.
func (c *conn) setDeadline() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return // it has its last deadlines
	}
	if c.screens > 0 {
		c.Conn.SetDeadline(time.Time{}) // the screen ends itself; output cuts off a client that does not read it
		return
	}
	end := c.accepted.Add(c.limits.MaxConnection)
	if after := c.stayed.Add(c.limits.IdleTimeout); end.Before(after) {
		end = after // the last words are still to be sent
	}
	if c.running == 0 {
		if idle := time.Now().Add(c.limits.IdleTimeout); idle.Before(end) {
			end = idle
		}
	}
	c.Conn.SetDeadline(end)
}
