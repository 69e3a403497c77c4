package rfc2136

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stream is a TCP connection to a name server, for one request at a time.
//
// It guards the order of updates. A server that was too slow may still apply an update
// from its buffers long after the timeout, and, with a second connection, after a newer
// one. So a connection with an unanswered update is kept, and its answer awaited before
// anything else is sent, until the server answers, the connection breaks, or the
// update's signature has expired.
type stream struct {
	server  string
	timeout time.Duration // of one exchange, connecting included

	conn   net.Conn // nil: not connected
	reader *bufio.Reader
	sent   time.Time // of the request that is unanswered; zero: none is
}

// validity is how long a server may accept a signed update: it may take it
// until its clock is one fudge ahead of the signature, and its clock may be
// another fudge behind ours.
const validity = 2 * fudge

// deadPeer is how long TCP tries to reach a machine that is gone.
const deadPeer = 20 * time.Second

// brokenError is an error after which the connection is of no use.
type brokenError struct{ error }

func (e brokenError) Unwrap() error { return e.error }

func isBroken(err error) bool {
	var b brokenError
	return errors.As(err, &b)
}

// exchange sends a request and returns the response.
func (s *stream) exchange(ctx context.Context, request []byte) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	response, err := s.exchangeUntil(limited, request)
	return response, s.explain(ctx, err)
}

func (s *stream) exchangeUntil(ctx context.Context, request []byte) ([]byte, error) {
	if !s.sent.IsZero() {
		_, err := s.receive(ctx) // its hosts failed, and come again
		if err != nil && !isBroken(err) {
			return nil, err
		}
	}
	if s.surplus() {
		s.close() // or it would be taken for the answer to this request
	}
	if s.conn != nil {
		response, err := s.roundTrip(ctx, request)
		if !isBroken(err) {
			return response, err
		}
		// Servers close idle connections, so this one's end says nothing.
	}
	if err := s.dial(ctx); err != nil {
		return nil, err
	}
	return s.roundTrip(ctx, request)
}

// surplus reports whether the server sent anything that no request asked for,
// or closed the connection.
func (s *stream) surplus() bool {
	if s.conn == nil {
		return false
	}
	if s.reader.Buffered() > 0 {
		return true
	}
	raw, err := s.conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return true
	}
	quiet := false
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		quiet = err == unix.EAGAIN
		return true
	})
	return err != nil || !quiet
}

func (s *stream) dial(ctx context.Context) error {
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: deadPeer / 4, Interval: deadPeer / 4, Count: 3},
		Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				// Best effort: it only shortens the wait for a machine that is gone.
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadPeer/time.Millisecond))
			})
		},
	}
	conn, err := dialer.DialContext(ctx, "tcp", s.server)
	if err != nil {
		return err
	}
	s.conn, s.reader = conn, bufio.NewReaderSize(conn, 2+maxMessage)
	return nil
}

func (s *stream) close() {
	if s.conn != nil {
		s.conn.Close()
	}
	s.conn, s.reader, s.sent = nil, nil, time.Time{}
}

func (s *stream) roundTrip(ctx context.Context, request []byte) ([]byte, error) {
	framed := make([]byte, 0, 2+len(request))
	framed = append(binary.BigEndian.AppendUint16(framed, uint16(len(request))), request...)
	s.sent = time.Now()
	if err := s.during(ctx, func() error { _, err := s.conn.Write(framed); return err }); err != nil {
		s.close() // half a message is never applied
		return nil, brokenError{err}
	}
	return s.receive(ctx)
}

// receive awaits the response to the request that is unanswered. It takes
// nothing from the reader before all is there, so that it can be called again
// after a timeout.
func (s *stream) receive(ctx context.Context) ([]byte, error) {
	var response []byte
	err := s.during(ctx, func() error {
		prefix, err := s.reader.Peek(2)
		if err != nil {
			return err
		}
		framed, err := s.reader.Peek(2 + int(binary.BigEndian.Uint16(prefix)))
		if err == nil {
			response = append(response, framed[2:]...)
			s.reader.Discard(len(framed))
		}
		return err
	})
	switch {
	case err == nil:
		s.sent = time.Time{}
		return response, nil
	case errors.Is(err, os.ErrDeadlineExceeded) && time.Since(s.sent) < validity:
		return nil, err
	}
	s.close()
	return nil, brokenError{err}
}

// during runs f, which reads from or writes to the connection, until ctx ends.
func (s *stream) during(ctx context.Context, f func() error) error {
	deadline, _ := ctx.Deadline()
	s.conn.SetDeadline(deadline)
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		s.conn.SetDeadline(time.Unix(1, 0))
		close(ended)
	})
	defer func() {
		if !stop() {
			<-ended // so that it cannot end what comes next
		}
	}()
	return f()
}

// explain puts err into words. The server and the zone are named by the caller.
func (s *stream) explain(ctx context.Context, err error) error {
	var wait string
	if !s.sent.IsZero() {
		wait = fmt.Sprintf(", to an update sent %s ago", time.Since(s.sent).Round(time.Millisecond))
	}
	var op *net.OpError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("no answer yet%s: %w", wait, ctx.Err())
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %s%s: %w", s.timeout, wait, os.ErrDeadlineExceeded)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens there on TCP: %w", syscall.ECONNREFUSED)
	case isBroken(err):
		return fmt.Errorf("the connection ended without an answer: %w", err)
	case errors.As(err, &op):
		return fmt.Errorf("connecting: %w", op.Err)
	}
	return err
}
