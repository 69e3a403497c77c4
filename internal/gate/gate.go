// Package gate is the SSH server. It accepts connections, counts them before it does
// any work for a stranger, proves the client's key, and hands each exec request to
// package command. It trusts nobody, and refuses everything but public keys, session
// channels and exec. It is the only package that knows the SSH library.
package gate

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"dnsgate/internal/algorithms"
	"dnsgate/internal/authkeys"
	"dnsgate/internal/command"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// Options are the parts of a Gate.
type Options struct {
	HostKeys []gossh.Signer // at least one; of each type, the first proves the gateway
	Keys     Keys
	Commands *command.Interpreter
	Limits   Limits
	Log      *slog.Logger

	// PostQuantumOnly refuses clients without a post-quantum key exchange.
	PostQuantumOnly bool
}

// Keys looks up the grant of a proven key; *authkeys.File is one.
type Keys interface {
	Lookup(key gossh.PublicKey, source netip.Addr, now time.Time) (authkeys.Grant, error)
}

// Gate is the server. It serves any number of listeners until Shutdown.
type Gate struct {
	keys     Keys
	commands *command.Interpreter
	log      *slog.Logger
	server   *ssh.Server
	limits   atomic.Pointer[Limits]

	allHostKeys  []gossh.MultiAlgorithmSigner
	hostKeys     []gossh.MultiAlgorithmSigner // of these, the first of each type
	keyExchanges []string

	startups  counter[netip.Prefix] // connections that have not proven a key, by source
	logins    logins                // those that have
	channels  pool                  // open beyond the first of each connection
	readAhead pool                  // bytes, beyond those of each connection's own
	turning   pool                  // connections being turned away
	penalties penalties

	accepting context.Context // ends when the drain begins
	drain     context.CancelFunc

	mu       sync.Mutex
	draining bool
	open     map[*conn]struct{}
	conns    sync.WaitGroup // those in open

	authenticated, sessions atomic.Int64
	accepted, refused       atomic.Uint64
}

// New makes a Gate that serves nobody yet.
func New(o Options) (*Gate, error) {
	if len(o.HostKeys) == 0 {
		return nil, errors.New("no host key") // or the library would make one
	}
	g := &Gate{
		keys:     o.Keys,
		commands: o.Commands,
		log:      o.Log,
		open:     make(map[*conn]struct{}),

		channels:  pool{left: maxSharedChannels},
		readAhead: pool{left: maxSharedReadAhead},
		turning:   pool{left: maxTurning},
	}
	for _, key := range o.HostKeys {
		signer, err := algorithms.Limit(key)
		if err != nil {
			return nil, err
		}
		g.allHostKeys = append(g.allHostKeys, signer)
	}
	g.hostKeys = firstOfType(g.allHostKeys)
	g.keyExchanges = keyExchanges
	if o.PostQuantumOnly {
		g.keyExchanges = postQuantum
	}
	g.accepting, g.drain = context.WithCancel(context.Background())
	g.SetLimits(o.Limits)
	g.server = &ssh.Server{
		Version:                  "dnsgate",
		ConnCallback:             func(ctx ssh.Context, nc net.Conn) net.Conn { ctx.SetValue(connKey{}, nc); return nc },
		ServerConfigCallback:     g.serverConfig,
		PublicKeyHandler:         g.offered,
		ConnectionFailedCallback: g.loginFailed,
		ChannelHandlers:          map[string]ssh.ChannelHandler{"session": g.session, "default": g.refuseChannel},
		RequestHandlers:          map[string]ssh.RequestHandler{proveMessage: g.proveHostKeys},
		SubsystemHandlers:        map[string]ssh.SubsystemHandler{},
	}
	return g, nil
}

// connKey is the place of a connection's *conn in its ssh.Context.
type connKey struct{}

func connOf(ctx ssh.Context) *conn { return ctx.Value(connKey{}).(*conn) }

// SetLimits changes the limits, for connections that come from now on.
func (g *Gate) SetLimits(l Limits) { g.limits.Store(&l) }

// Serve accepts connections from l until Shutdown, then returns nil.
func (g *Gate) Serve(l net.Listener) error {
	defer context.AfterFunc(g.accepting, func() { l.Close() })()
	pause := 5 * time.Millisecond
	for {
		nc, err := l.Accept()
		if err == nil {
			pause = 5 * time.Millisecond
			g.admit(nc)
			continue
		}
		if g.accepting.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		g.log.Warn("accepting failed", "error", err, "pause", pause) // no descriptor left, perhaps
		select {
		case <-time.After(pause):
		case <-g.accepting.Done():
			return nil
		}
		pause = min(2*pause, time.Second)
	}
}

// admit counts a new connection against the limits before any work is done for it. A
// penalized source is slowed, not shut out: others may share its address.
func (g *Gate) admit(nc net.Conn) {
	limits := g.limits.Load()
	source := sourceNetwork(sourceOf(nc))
	slow := limits.Penalties && g.penalties.slows(source, time.Now())
	if slow {
		g.endSlow(source)
	}
	if slow && (g.startups.has(source) || g.startups.count() > limits.MaxStartups/2 || !g.penalties.turn(source, time.Now())) {
		g.turnAway(nc, "Not allowed at this time: logins from your address failed too often; try again in some seconds")
		return
	}
	if !g.startups.begin(source, limits.MaxStartups, limits.PerSourceStartups) {
		g.turnAway(nc, "Exceeded MaxStartups: too many connections are logging in; try again in some seconds")
		return
	}
	g.accepted.Add(1)
	c := newConn(g, nc, sourceOf(nc), limits)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining {
		c.Close()
		c.release()
		return
	}
	g.open[c] = struct{}{}
	g.conns.Add(1)
	go g.serve(c)
}

// slowLogin is how long a login of a slowed source may take once another one waits.
// Otherwise one silent connection would shut the others out.
const slowLogin = 3 * time.Second

// endSlow ends the logins of a slowed source that have taken too long.
func (g *Gate) endSlow(source netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.open {
		if !c.proven.Load() && time.Since(c.accepted) > slowLogin && sourceNetwork(c.source) == source {
			c.Close()
		}
	}
}

func (g *Gate) serve(c *conn) {
	defer g.conns.Done()
	defer g.forget(c)
	defer g.judge(c)
	defer g.survive("connection", func() { g.penalize(c, crash) })
	g.server.HandleConn(c)
}

func (g *Gate) forget(c *conn) {
	c.Close()
	c.awaitSent()
	c.release()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, c)
}

// survive keeps a panic from ending the process, and then calls after.
func (g *Gate) survive(where string, after func()) {
	if p := recover(); p != nil {
		defer after()
		g.log.Error("bug: panic", "in", where, "panic", p, "stack", string(debug.Stack()))
	}
}

// Shutdown stops accepting, lets the commands that run finish until ctx ends,
// then closes every connection and waits for all of it to end.
func (g *Gate) Shutdown(ctx context.Context) {
	g.drain()
	g.mu.Lock()
	g.draining = true
	g.mu.Unlock()
	g.commands.Drain(ctx)
	g.mu.Lock()
	for c := range g.open {
		c.Close()
	}
	g.mu.Unlock()
	g.conns.Wait()
	g.commands.Wait()
}

// Connections says what is open now.
func (g *Gate) Connections() command.Connections {
	slowed, longest := g.penalties.list(time.Now())
	return command.Connections{
		Unauthenticated: g.startups.count(),
		Authenticated:   int(g.authenticated.Load()),
		Sessions:        int(g.sessions.Load()),
		Accepted:        g.accepted.Load(),
		Refused:         g.refused.Load(),
		Penalized:       slowed,
		Penalties:       longest,
	}
}
