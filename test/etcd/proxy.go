package etcd

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands between a gateway and a node. It can swallow what it is sent:
// connections stay open, and nothing comes out, as with a network that drops
// packets. A connection that lost something stays without answers.
type Proxy struct {
	URL      string
	swallows atomic.Bool
	listener net.Listener
}

// NewProxy makes a proxy to the address of a node. It ends with the test.
func NewProxy(t testing.TB, address string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{URL: "http://" + l.Addr().String(), listener: l}
	var open sync.Map
	t.Cleanup(func() {
		l.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(c, true)
			go p.carry(c, address)
		}
	}()
	return p
}

// Swallow begins to swallow all, or ends it for new connections.
func (p *Proxy) Swallow(all bool) { p.swallows.Store(all) }

func (p *Proxy) carry(c net.Conn, address string) {
	defer c.Close()
	node, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer node.Close()
	var lost atomic.Bool // for this connection, for ever
	go func() {
		p.copy(c, node, &lost)
		c.Close()
	}()
	p.copy(node, c, &lost)
}

func (p *Proxy) copy(to io.Writer, from io.Reader, lost *atomic.Bool) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if p.swallows.Load() {
			lost.Store(true)
		}
		if n > 0 && !lost.Load() {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
