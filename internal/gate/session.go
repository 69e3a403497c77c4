package gate

import (
	"context"
	"encoding/binary"
	"io"
	"sync"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/command"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// session serves one channel: requests until there is an exec, the command, its exit
// status, the end. The library calls it in a goroutine of its own.
func (g *Gate) session(_ *ssh.Server, sc *gossh.ServerConn, nch gossh.NewChannel, ctx ssh.Context) {
	c := connOf(ctx)
	defer g.survive("session", func() { c.Close() })
	defer c.opens.Add(-1)
	opens := c.opens.Add(1)
	if opens > int32(c.limits.MaxSessions) {
		g.refuse(c, nch, gossh.ResourceShortage, "too many sessions in one connection")
		return
	}
	if opens > 1 { // the first has a place of its own
		if !g.channels.take(1) {
			g.refuse(c, nch, gossh.ResourceShortage, "too many sessions in all; try again in a minute")
			return
		}
		defer g.channels.give(1)
	}
	id, err := identityOf(sc)
	if err != nil {
		g.refuse(c, nch, gossh.Prohibited, err.Error())
		return
	}
	if len(nch.ExtraData()) > 0 { // RFC 4254 section 6.1; otherwise it would be held as long as the channel
		g.refuse(c, nch, gossh.ConnectionFailed, "a session takes no further data")
		return
	}
	if !c.await() {
		return
	}
	g.announceHostKeys(c, sc)
	ch, requests, err := nch.Accept()
	if err != nil {
		c.awaited()
		return
	}
	defer ch.Close() // also after a panic
	g.sessions.Add(1)
	defer g.sessions.Add(-1)
	s := session{gate: g, conn: c, key: id.key, ch: ch, requests: requests}
	s.serve(ctx)
}

// refuseChannel refuses channels that are no sessions: forwardings, tunnels.
func (g *Gate) refuseChannel(_ *ssh.Server, _ *gossh.ServerConn, nch gossh.NewChannel, ctx ssh.Context) {
	c := connOf(ctx)
	defer g.survive("channel", func() { c.Close() })
	defer c.opens.Add(-1)
	c.opens.Add(1)
	g.refuse(c, nch, gossh.Prohibited, "this server runs commands only")
}

// refuse answers a channel that is refused. Each is a goroutine until its answer is
// written, so a client that goes on, or does not read, is cut off.
func (g *Gate) refuse(c *conn, nch gossh.NewChannel, reason gossh.RejectionReason, why string) {
	if n := c.refused.Add(1); n > maxRefusedOpens {
		if n == maxRefusedOpens+1 {
			g.log.Warn("connection closed", "source", c.source, "why", "it opens channel after channel")
		}
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
	terminal terminal
	draining sync.WaitGroup // of unread input
}

func (s *session) serve(ctx context.Context) {
	request, ok := s.awaitCommand()
	if ok {
		var end func()
		ctx, end = s.gate.commands.Begin(ctx)
		defer end() // once the client has its exit status
	}
	draws := ok && s.terminal.given && request.IsScreen()
	reads := ok && request.ReadsInput() || draws
	if draws || ok && request.Lasts() {
		defer s.conn.stay()()
	}
	if reads {
		s.conn.begin(reads) // first, or its input might be held back
	}
	s.conn.awaited()
	s.draining.Go(s.followRequests)
	s.drain(s.ch.Stderr())
	switch {
	case reads:
		in := &input{from: s.ch, conn: s.conn}
		s.exit(s.run(ctx, request, in))
		s.conn.end(reads)
		s.drain(in)
	case ok:
		s.drain(s.ch)
		s.conn.begin(reads)
		s.exit(s.run(ctx, request, nil))
		s.conn.end(reads)
	default:
		s.drain(s.ch)
	}
	s.finish()
}

// drain discards a stream's input. The library would hold up to 2 MiB.
func (s *session) drain(r io.Reader) {
	s.draining.Go(func() { io.Copy(io.Discard, r) })
}

// followRequests answers requests after the command's own.
func (s *session) followRequests() {
	for req := range s.requests {
		req.Reply(req.Type == "window-change" && s.terminal.resize(req.Payload), nil)
	}
}

// awaitCommand answers requests until one asks for a command or a shell. It refuses
// everything else; a client that needs it ends.
func (s *session) awaitCommand() (request command.Request, ok bool) {
	n := 0
	for req := range s.requests {
		if n++; n > maxEarlyRequests {
			return request, false
		}
		s.conn.asked(len(req.Payload))
		switch req.Type {
		case "exec":
			var exec struct{ Command string } // RFC 4254 section 6.5
			if err := gossh.Unmarshal(req.Payload, &exec); err != nil {
				req.Reply(false, nil)
				return request, false
			}
			req.Reply(true, nil)
			return command.Parse(exec.Command), true
		case "shell":
			req.Reply(true, nil)
			return command.Shell(), true
		case "pty-req":
			req.Reply(s.session().MayHaveTerminal() && s.terminal.give(req.Payload), nil)
		case "window-change":
			req.Reply(s.terminal.resize(req.Payload), nil)
		case "env":
			req.Reply(s.terminal.setEnv(req.Payload), nil)
		case "subsystem":
			req.Reply(false, nil)
			return request, false // dbclient would wait for ever
		default:
			req.Reply(false, nil)
		}
	}
	return request, false
}

// session is the owner of the channel's commands.
func (s *session) session() *command.Session {
	return &command.Session{
		Source: s.conn.source,
		Began:  time.Now(),
		Grant: func() (authkeys.Grant, error) {
			return s.gate.keys.Lookup(s.key, s.conn.source, time.Now())
		},
	}
}

// run runs the command. Its exit status is never 255, which is ssh's own.
func (s *session) run(ctx context.Context, request command.Request, in io.Reader) int {
	std := command.Streams{In: in, Out: output{s.ch, s.conn}, Err: output{s.ch.Stderr(), s.conn}, Terminal: s.terminal.screen()}
	return s.gate.commands.Run(ctx, s.session(), request, std)
}

// input is the client's input. It ends with the connection, though the library may hold
// more: nobody is left to answer. A batch that has ended may still be in a Read. The
// library wakes only one reader at the end of input, so only one reads at a time.
type input struct {
	mu   sync.Mutex
	from io.Reader
	conn *conn
}

func (i *input) Read(b []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.conn.ended() {
		return 0, io.ErrUnexpectedEOF
	}
	return i.from.Read(b)
}

// output is a stream to the client. A client that does not read it loses its
// connection.
type output struct {
	io.Writer
	conn *conn
}

func (o output) Write(b []byte) (int, error) {
	defer time.AfterFunc(o.conn.limits.IdleTimeout, func() { o.conn.Close() }).Stop()
	return o.Writer.Write(b)
}

func (s *session) exit(status int) {
	s.conn.proofSent()
	payload := binary.BigEndian.AppendUint32(nil, uint32(status)) // RFC 4254 section 6.10
	s.ch.SendRequest("exit-status", false, payload)
}

// finish closes the channel and waits until the client has closed it too, so that its
// place becomes free only with its memory.
func (s *session) finish() {
	s.ch.Close()
	defer time.AfterFunc(channelCloseGrace, func() { s.conn.Close() }).Stop()
	s.draining.Wait()
}
