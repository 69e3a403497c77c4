package etcdstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// The stock client over several endpoints was seen to take 13 s to leave one
// that is stopped, or the old leader. So each endpoint has a client of its own,
// a read through the cluster's majority tells several times a second whether it
// works, and all requests go to one that does.
const (
	probeEvery = 250 * time.Millisecond
	probeLimit = 700 * time.Millisecond
)

// endpoints are all etcd nodes of the configuration.
type endpoints struct {
	probeKey string
	changed  func() // called when another node, or none, is used
	ctx      context.Context
	end      context.CancelFunc
	probing  sync.WaitGroup
	nodes    []*node

	mu      sync.Mutex
	current *connection   // nil: none answers
	moved   chan struct{} // closed and replaced when current changes
	why     error         // of the last probe that failed
}

// node is one endpoint. Its fields belong to its prober.
type node struct {
	config   clientv3.Config
	conn     *connection
	answered bool // once at least
}

// connection is a client of one node. It is given up for ever, and everything on it
// cancelled, when the node does not answer: a new connection is the only sure
// way back after a network that swallowed bytes.
type connection struct {
	url    string
	client *clientv3.Client
	ctx    context.Context
	end    context.CancelFunc
}

func openEndpoints(o Options) (*endpoints, error) {
	secure, err := tlsConfig(o)
	if err != nil {
		return nil, err
	}
	e := &endpoints{probeKey: o.Prefix + keyMeta, moved: make(chan struct{})}
	e.ctx, e.end = context.WithCancel(context.Background())
	for _, url := range o.Endpoints {
		n := &node{config: clientConfig(url, secure)}
		if n.conn, err = n.dial(); err != nil {
			e.close()
			return nil, fmt.Errorf("endpoint %s: %w", url, err)
		}
		e.nodes = append(e.nodes, n)
	}
	return e, nil
}

func clientConfig(url string, secure *tls.Config) clientv3.Config {
	return clientv3.Config{
		Endpoints: []string{url},
		TLS:       secure,
		Logger:    zap.NewNop(), // what matters comes back as an error

		MaxUnaryRetries: 1, // we try again ourselves; so an error says why there is no connection
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: probeLimit,
		})},
	}
}

func (n *node) dial() (*connection, error) {
	client, err := clientv3.New(n.config)
	if err != nil {
		return nil, err
	}
	c := &connection{url: n.config.Endpoints[0], client: client}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c, nil
}

// with returns a context that ends with ctx, or with c.
func (c *connection) with(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(c.ctx, cancel)
	return ctx, func() { unhook(); cancel() }
}

func (c *connection) close() error {
	c.end()
	return c.client.Close()
}

func (e *endpoints) start() {
	for _, n := range e.nodes {
		e.probing.Go(func() { e.watchOver(n) })
	}
}

// watchOver probes n until e is closed. A probe that fails gives up its
// connection, so that a node which comes back is found by the next one.
func (e *endpoints) watchOver(n *node) {
	for e.ctx.Err() == nil {
		next := time.After(probeEvery)
		err := e.probe(n.conn)
		if e.ctx.Err() != nil {
			return
		}
		if err == nil {
			n.answered = true
			e.up(n.conn)
		} else {
			if why := n.handshake(e.ctx); why != nil {
				err = why
			}
			e.down(n.conn, err)
			n.conn.close()
			if again, err := n.dial(); err == nil {
				n.conn = again
			}
		}
		select {
		case <-next:
		case <-e.ctx.Done():
		}
	}
}

// probe reads what only a majority can answer.
func (e *endpoints) probe(c *connection) error {
	ctx, cancel := context.WithTimeout(e.ctx, probeLimit)
	defer cancel()
	_, err := c.client.Get(ctx, e.probeKey, clientv3.WithKeysOnly())
	return err
}

// handshake says why no connection to n was ever made: the client only tells
// that it took too long.
func (n *node) handshake(ctx context.Context) error {
	if n.config.TLS == nil || n.answered {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	dialer := tls.Dialer{Config: n.config.TLS}
	c, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(n.config.Endpoints[0], "https://"))
	if err == nil {
		c.Close()
	}
	return err
}

// up says that c works. It is used if none is; nothing moves for its sake.
func (e *endpoints) up(c *connection) {
	e.mu.Lock()
	use := e.current == nil
	if use {
		e.use(c)
	}
	e.mu.Unlock()
	if use {
		e.changed()
	}
}

// down says that c does not work.
func (e *endpoints) down(c *connection, why error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.why = fmt.Errorf("%s: %w", c.url, why)
	if e.current == c {
		e.use(nil)
	}
}

func (e *endpoints) use(c *connection) {
	e.current = c
	close(e.moved)
	e.moved = make(chan struct{})
}

// get returns the connection to use, or nil, and a channel that closes when that
// changes.
func (e *endpoints) get() (*connection, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current, e.moved
}

// wait returns the connection to use once there is one.
func (e *endpoints) wait(ctx context.Context) (*connection, error) {
	for {
		c, moved := e.get()
		if c != nil {
			return c, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, e.unreachable()
		}
	}
}

// unreachable says that no node answers, and why the last one did not.
func (e *endpoints) unreachable() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.why == nil {
		return errors.New("etcd cannot be reached")
	}
	return fmt.Errorf("etcd cannot be reached (%w)", e.why)
}

func (e *endpoints) close() error {
	e.end()
	e.probing.Wait()
	e.mu.Lock()
	e.use(nil)
	e.mu.Unlock()
	for _, n := range e.nodes {
		n.conn.close()
	}
	return nil
}
