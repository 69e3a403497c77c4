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
	LoginGraceTime    time.Duration // from accepting to a proven key
	MaxStartups       int           // connections without a proven key, in all
	PerSourceStartups int           // and from one /32 or /64
	MaxAuthTries      int           // failures, and accepted offers, of one connection
	MaxSessions       int           // channels open at once in one connection
	IdleTimeout       time.Duration // of a connection that runs no command
	MaxConnection     time.Duration // a connection's whole life
}

// Bounds that nobody needs to change.
const (
	maxLoginBytes     = 64 << 10 // read before the key is proven; OpenSSH sends about 2 KiB
	maxEarlyRequests  = 64       // requests of a channel before its exec; ssh sends one per SendEnv
	maxRefusedOpens   = 256      // channels of one connection that were refused
	channelCloseGrace = 5 * time.Second
)

// startups counts the connections that have not proven a key.
type startups struct {
	mu  sync.Mutex
	all int
	by  map[netip.Prefix]int // by source network; none is kept at 0
}

func (s *startups) begin(source netip.Addr, l *Limits) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	network := sourceNetwork(source)
	if s.all >= l.MaxStartups || s.by[network] >= l.PerSourceStartups {
		return false
	}
	s.all++
	s.by[network]++
	return true
}

func (s *startups) end(source netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	network := sourceNetwork(source)
	s.all--
	if s.by[network]--; s.by[network] == 0 {
		delete(s.by, network)
	}
}

func (s *startups) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// sourceNetwork is what counts as one source: an IPv4 address, or the /64
// that one IPv6 host has to itself.
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
