package gate

import (
	"encoding/binary"
	"io"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/command"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// session serves one channel: requests until there is an exec, that command,
// its exit status, the end. The library calls it in a goroutine of its own.
func (g *Gate) session(_ *ssh.Server, sc *gossh.ServerConn, nch gossh.NewChannel, ctx ssh.Context) {
	defer g.survive("session")
	c := connOf(ctx)
	defer c.opens.Add(-1)
	if c.opens.Add(1) > int32(c.limits.MaxSessions) {
		g.refuse(c, nch, gossh.ResourceShortage, "too many sessions in one connection")
		return
	}
	id, err := identityOf(sc)
	if err != nil {
		g.refuse(c, nch, gossh.Prohibited, err.Error())
		return
	}
	ch, requests, err := nch.Accept()
	if err != nil {
		return
	}
	defer ch.Close() // also after a panic
	g.sessions.Add(1)
	defer g.sessions.Add(-1)
	s := session{gate: g, conn: c, key: id.key, ch: ch, requests: requests}
	s.serve()
}

// refuseChannel answers what is no session: forwardings, tunnels.
func (g *Gate) refuseChannel(_ *ssh.Server, _ *gossh.ServerConn, nch gossh.NewChannel, ctx ssh.Context) {
	defer g.survive("channel")
	c := connOf(ctx)
	defer c.opens.Add(-1)
	c.opens.Add(1)
	g.refuse(c, nch, gossh.Prohibited, "this server runs commands only")
}

// refuse answers a channel that is not to be. Each is a goroutine until its
// answer is written, so a client that goes on, or does not read, is cut off.
func (g *Gate) refuse(c *conn, nch gossh.NewChannel, reason gossh.RejectionReason, why string) {
	if c.refused.Add(1) > maxRefusedOpens {
		c.Close()
		return
	}
	nch.Reject(reason, why)
}

// session is one accepted channel.
type session struct {
	gate     *Gate
	conn     *conn
	key      gossh.PublicKey
	ch       gossh.Channel
	requests <-chan *gossh.Request
}

func (s *session) serve() {
	line, shell, ok := s.awaitCommand()
	if !ok {
		s.finish(nil)
		return
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for req := range s.requests {
			req.Reply(false, nil)
		}
	}()
	s.exit(s.run(line, shell))
	s.finish(drained)
}

// awaitCommand answers requests until one asks for a command or a shell.
// Everything else is refused, and a client that cannot do without ends.
func (s *session) awaitCommand() (line string, shell, ok bool) {
	n := 0
	for req := range s.requests {
		if n++; n > maxEarlyRequests {
			return "", false, false
		}
		switch req.Type {
		case "exec":
			var exec struct{ Command string } // RFC 4254 section 6.5
			if err := gossh.Unmarshal(req.Payload, &exec); err != nil {
				req.Reply(false, nil)
				return "", false, false
			}
			req.Reply(true, nil)
			return exec.Command, false, true
		case "shell":
			req.Reply(true, nil)
			return "", true, true
		case "subsystem":
			req.Reply(false, nil)
			return "", false, false // dbclient would wait for ever
		default:
			req.Reply(false, nil)
		}
	}
	return "", false, false
}

// run runs the command. Its exit status is never 255, which is ssh's own.
func (s *session) run(line string, shell bool) int {
	g := s.gate
	defer g.begin()()
	s.conn.begin()
	defer s.conn.end()
	if !command.ReadsInput(line) {
		go io.Copy(io.Discard, s.ch) // or up to 2 MiB of it would wait here
	}
	cs := &command.Session{
		Source: s.conn.source,
		Began:  time.Now(),
		Grant: func() (authkeys.Grant, error) {
			return g.keys.Lookup(s.key, s.conn.source, time.Now())
		},
	}
	std := command.Streams{In: s.ch, Out: s.ch, Err: s.ch.Stderr()}
	if shell {
		return g.commands.Shell(cs, std)
	}
	return g.commands.Run(g.running, cs, line, std)
}

func (s *session) exit(status int) {
	payload := binary.BigEndian.AppendUint32(nil, uint32(status)) // RFC 4254 section 6.10
	s.ch.SendRequest("exit-status", false, payload)
}

// finish closes the channel and waits until the client has closed it too, so
// that its place is free only when its memory is.
func (s *session) finish(drained <-chan struct{}) {
	s.ch.Close()
	if drained == nil {
		ended := make(chan struct{})
		drained = ended
		go func() {
			defer close(ended)
			for range s.requests {
			}
		}()
	}
	go io.Copy(io.Discard, s.ch)
	select {
	case <-drained:
	case <-time.After(channelCloseGrace):
		s.conn.Close()
	}
}
