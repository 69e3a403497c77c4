package gate

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"dnsgate/internal/plain"

	gossh "golang.org/x/crypto/ssh"
)

// judge penalizes the source of a connection that ended without a login, and
// logs the last key that it offered in vain.
func (g *Gate) judge(c *conn) {
	if r := c.refusal; r.why != nil && !c.proven.Load() {
		g.log.Info("key refused", "source", c.source, "key", r.fingerprint, "why", r.why)
	}
	switch {
	case c.proven.Load() || c.excused || g.accepting.Err() != nil:
	case c.expired.Load():
		g.penalize(c, graceExceeded)
	case c.tried:
		g.penalize(c, authFail)
	default:
		g.penalize(c, noAuth)
	}
}

func (g *Gate) penalize(c *conn, o offence) {
	exempt := func(network netip.Prefix) bool { return network.Contains(c.source) }
	if !c.limits.Penalties || slices.ContainsFunc(c.limits.PenaltyExempt, exempt) {
		return
	}
	until, begins := g.penalties.add(sourceNetwork(c.source), o, time.Now())
	if begins {
		g.log.Warn("source slowed for a while", "source", sourceNetwork(c.source), "until", until, "why", o.name)
	}
}

// loginFailed logs the end of a connection that proved no key.
func (g *Gate) loginFailed(nc net.Conn, err error) {
	g.refused.Add(1)
	g.log.Info("login failed", "source", sourceOf(nc), "why", failure(err))
}

// failure says in our words why no key was proven.
func failure(err error) string {
	var auth *gossh.ServerAuthError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "it took longer than login_grace_time"
	case errors.As(err, &auth):
		return "the client proved no key that is authorized"
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return "the client left"
	}
	return "the client does not keep to the protocol, or has no algorithm of ours: " + plain.Short(err.Error(), 200)
}
