package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/command"
	"dnsgate/internal/sysexits"
)

// Bounds of what accounts may cost. Root and the gateway's own user have places of
// their own, so nobody can keep an operator out.
const (
	maxCallers   = 200
	maxOperators = 16
	requestTime  = 10 * time.Second // until the request is complete

	lastWords = 500 * time.Millisecond // for a client to read how its command ended
)

// Options are what a Server needs.
type Options struct {
	Commands *command.Interpreter
	Accounts Accounts                   // let in beside root and this user
	Refuse   func(authkeys.Grant) error // why a key is refused, whatever its line says; nil: none is
	Limits   func() Limits
	Log      *slog.Logger
}

// Limits are those of sshd_config that apply here too.
type Limits struct {
	IdleTimeout   time.Duration // a client that takes no output is cut off then
	MaxConnection time.Duration // a command's whole life
}

// Accounts are those whose forced commands are believed, by user number.
type Accounts map[uint32]Account

// Account is one user of this machine.
type Account struct {
	Name  string
	Admin bool // "dnsgate admin" and "dnsgate monitor" are believed too
}

// Server serves the socket. Make one with Listen.
type Server struct {
	o        Options
	path     string
	listener *net.UnixListener
	self     uint32
	overflow uint32
	callers  chan struct{} // a place for each connection of an account
	ops      chan struct{} // and of an operator
	conns    sync.WaitGroup

	refusals struct {
		sync.Mutex
		told   time.Time
		untold int
	}
}

// Listen makes the socket at path, which nobody may be serving yet. If open is set
// everybody may connect, and the kernel tells who they are; otherwise only root and
// this user may. A missing folder is made, if its parent exists.
func Listen(path string, open bool, o Options) (_ *Server, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("control socket: %w", err)
		}
	}()
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	short, done, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer done()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // under a temporary name
	mode := fs.FileMode(0o600)
	if open {
		mode = 0o666
	}
	if err := os.Chmod(path, mode); err != nil {
		listener.Close()
		return nil, err
	}
	return &Server{
		o: o, path: path, listener: listener, self: uint32(os.Geteuid()), overflow: overflowUID(),
		callers: make(chan struct{}, maxCallers), ops: make(chan struct{}, maxOperators),
	}, nil
}

// removeStale removes the socket of a gateway that was killed.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket; remove it, or set control in dnsgate.toml", path)
	}
	short, done, err := shorten(path)
	if err != nil {
		return err
	}
	defer done()
	conn, err := net.Dial("unix", short)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%s is served by another gateway; stop that one, or set control in dnsgate.toml", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// Serve answers until ctx ends, and then waits for the running commands; the drain ends
// those. The socket is gone when it returns.
func (s *Server) Serve(ctx context.Context) {
	defer os.Remove(s.path) // fails where Landlock protects that folder; the next gateway removes it
	defer s.conns.Wait()
	defer context.AfterFunc(ctx, func() { s.listener.Close() })()
	for {
		conn, err := s.listener.AcceptUnix()
		switch {
		case err == nil:
			s.conns.Go(func() { s.converse(ctx, conn) })
		case ctx.Err() != nil:
			return
		default:
			s.o.Log.Error("control socket: cannot accept", "error", err)
			select {
			case <-time.After(100 * time.Millisecond): // out of descriptors, perhaps
			case <-ctx.Done():
			}
		}
	}
}

// converse serves one connection: one request, its command, its exit status. An
// incomplete request is not waited for once ctx ends.
func (s *Server) converse(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	by, err := s.admit(conn)
	if err != nil {
		s.refused(err)
		refuse(conn, err)
		return
	}
	places := s.callers
	if by.operator {
		places = s.ops
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		refuse(conn, errors.New("too many commands at once through the control socket; try again in a minute"))
		return
	}
	limits := s.o.Limits()
	c := &caller{conn: conn, in: bufio.NewReader(conn), by: by, idle: limits.IdleTimeout}
	conn.SetReadDeadline(time.Now().Add(requestTime))
	hangUp := context.AfterFunc(ctx, func() { conn.Close() })
	req, err := readRequest(c.in)
	hangUp()
	if err != nil {
		s.o.Log.Warn("control socket: refused", "uid", by.uid, "error", err)
		return
	}
	conn.SetReadDeadline(time.Time{})
	ctx, end := s.o.Commands.Begin(ctx)
	defer end() // once the client has its exit status
	request := req.request()
	screen := req.Terminal != nil && request.IsScreen()
	if !screen && !request.Lasts() { // those end by themselves
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limits.MaxConnection)
		defer cancel()
	}
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, func() { conn.Close() }) })()
	c.frame(exitStatus, []byte{byte(s.run(ctx, c, req, request))})
}

// refused logs who was turned away, at most once a second: any account may try.
func (s *Server) refused(why error) {
	s.refusals.Lock()
	defer s.refusals.Unlock()
	if time.Since(s.refusals.told) < time.Second {
		s.refusals.untold++
		return
	}
	s.o.Log.Warn("control socket: refused", "error", why, "others_since_the_last", s.refusals.untold)
	s.refusals.told, s.refusals.untold = time.Now(), 0
}

// refuse tells a client that it is not let in.
func refuse(conn net.Conn, why error) {
	conn.SetWriteDeadline(time.Now().Add(time.Second))
	writeFrame(conn, errorText, []byte("dnsgate: "+why.Error()+"\n"))
	writeFrame(conn, exitStatus, []byte{sysexits.NoPerm})
}

// admit identifies the client, or turns it away.
func (s *Server) admit(conn *net.UnixConn) (who, error) {
	uid, err := peerUID(conn)
	switch {
	case err != nil:
		return who{}, err
	case uid == 0:
		return who{uid: uid, Account: Account{"root", true}, operator: true}, nil
	case uid == s.self:
		return who{uid: uid, Account: Account{"dnsgate's user", true}, operator: true}, nil
	}
	a, ok := s.o.Accounts[uid]
	if !ok || uid == s.overflow {
		return who{}, fmt.Errorf("user %d is neither root, nor dnsgate's user, nor in [sshd] users", uid)
	}
	return who{uid: uid, Account: a}, nil
}

// who connects.
type who struct {
	Account
	uid      uint32
	operator bool // root, or this user
}
