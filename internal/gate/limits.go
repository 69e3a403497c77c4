package gate

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Limits bounds what clients may cost. Names and meanings are those of
// sshd_config(5), where it has them.
type Limits struct {
	LoginGraceTime    time.Duration  // from accepting to a proven key
	MaxStartups       int            // connections without a proven key, in all
	PerSourceStartups int            // and from one /32 or /64
	MaxAuthTries      int            // failures, and accepted offers, of one connection
	MaxSessions       int            // channels open at once in one connection
	IdleTimeout       time.Duration  // of a connection that runs no command, or does not take an answer
	MaxConnection     time.Duration  // a connection's whole life
	MaxLogins         int            // connections with a proven key, in all
	MaxLoginsPerKey   int            // and of one key
	Penalties         bool           // slow sources that caused trouble; see penalties
	PenaltyExempt     []netip.Prefix // but never these
}

// Bounds that nobody needs to change. OpenSSH's client sends about 2 KiB before its key
// is proven; its longest packet lists its algorithms.
const (
	maxLoginBytes     = 32 << 10                        // read before the key is proven
	maxLoginPacket    = 8 << 10                         // the longest packet of these
	maxPacket         = 36 << 10                        // what RFC 4253 section 6.1 asks for; longer ones
	maxLongPackets    = 2                               // of one connection, for long commands to be answered
	maxReadAhead      = 320 << 10                       // bytes read ahead of the work; a longest packet fits in
	ownReadAhead      = 16 << 10                        // of these, each connection's own share
	maxOutgoing       = 64 << 10                        // bytes written that are not sent yet
	ownOutgoing       = 4 << 10                         // of these, each connection's own share
	wideOutgoing      = 2 * (maxOutgoing - ownOutgoing) // the rest: as much may wait as is being sent
	maxWaiting        = 4                               // channels of one connection that wait for their commands
	maxEarlyRequests  = 64                              // requests of a channel before its exec; ssh sends one per SendEnv
	maxRefusedOpens   = 256                             // channels of one connection that were refused
	freeKeyExchanges  = 16                              // of one connection; from then on one per second of its life
	channelCloseGrace = 5 * time.Second
	turnAwayTime      = 500 * time.Millisecond // for a client that is turned away to read why
	lastWords         = 500 * time.Millisecond // for what is written to a connection that is closed
)

// Bounds for all connections together.
const (
	maxSharedReadAhead = 32 << 20 // bytes beyond ownReadAhead and ownOutgoing of each
	maxSharedChannels  = 1024     // channels beyond the first of each
	maxTurning         = 200      // connections that are told why they are turned away
)

// pool is something that connections share, beyond each one's own share. Nobody waits
// for it.
type pool struct {
	mu   sync.Mutex
	left int
}

// take takes n; a negative n gives back. It is false if there is less.
func (p *pool) take(n int) bool {
	if n == 0 {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n > p.left {
		return false
	}
	p.left -= n
	return true
}

func (p *pool) give(n int) { p.take(-n) }

// counter counts what is open, in all and by key.
type counter[K comparable] struct {
	mu  sync.Mutex
	all int
	by  map[K]int // none is kept at 0
}

// begin counts one more, unless there are too many already.
func (c *counter[K]) begin(key K, inAll, byKey int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= inAll || c.by[key] >= byKey {
		return false
	}
	if c.by == nil {
		c.by = make(map[K]int)
	}
	c.all++
	c.by[key]++
	return true
}

func (c *counter[K]) end(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.by[key]--; c.by[key] == 0 {
		delete(c.by, key)
	}
}

// has reports whether key has any open.
func (c *counter[K]) has(key K) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[key] > 0
}

func (c *counter[K]) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

// sourceNetwork is what counts as one source: an IPv4 address, or the /64 that one IPv6
// host has to itself.
func sourceNetwork(addr netip.Addr) netip.Prefix {
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	network, _ := addr.Prefix(bits)
	return network
}

// sourceOf is the address that nc comes from, IPv4-mapped ones as IPv4.
func sourceOf(nc net.Conn) netip.Addr {
	if tcp, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
