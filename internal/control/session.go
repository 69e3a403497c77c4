package control

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/command"
	"dnsgate/internal/screen"
	"dnsgate/internal/sysexits"

	"golang.org/x/crypto/ssh"
)

// run carries out c's request, and returns its exit status.
func (s *Server) run(ctx context.Context, c *caller, req Request, request command.Request) int {
	errs := stream{c, errorText}
	session, err := s.session(c.by, req)
	if err != nil {
		s.o.Log.Warn("control socket: refused", "uid", c.by.uid, "error", err)
		fmt.Fprintf(errs, "dnsgate: %v\n", err)
		return sysexits.NoPerm
	}
	std := command.Streams{In: &input{from: c}, Out: stream{c, output}, Err: errs, Terminal: req.Terminal.screen()}
	return s.o.Commands.Run(ctx, session, request, std)
}

// request is the client's command.
func (r Request) request() command.Request {
	if r.Shell {
		return command.Shell()
	}
	return command.Parse(r.Command)
}

// screen is t for a command, with its size clamped before anything is allocated for it.
func (t *Terminal) screen() *screen.Terminal {
	if t == nil {
		return nil
	}
	return &screen.Terminal{Type: screen.CleanType(t.Type), NoColor: t.NoColor, Size: screen.Clamp(t.Width, t.Height)}
}

// session is what the gateway knows of the client. The account's words count as its
// grant; only an account with :admin may say "dnsgate admin".
func (s *Server) session(by who, req Request) (*command.Session, error) {
	grant, err := authkeys.ParseCommand(req.Forced)
	if err != nil {
		return nil, err
	}
	if (grant.Admin || grant.Monitor) && !by.Admin {
		return nil, fmt.Errorf("the account %s may not say %q: [sshd] users has it without :admin", by.Name, req.Forced)
	}
	session := &command.Session{Began: time.Now()}
	grant.Fingerprint, grant.Comment = req.Key, "by "+by.Name
	if req.Key == "" {
		if !by.operator {
			return nil, fmt.Errorf("the account %s names no key", by.Name)
		}
		grant.Fingerprint = "uid:" + strconv.FormatUint(uint64(by.uid), 10)
	} else if !authkeys.IsFingerprint(req.Key) {
		return nil, fmt.Errorf("%q is not a key's fingerprint", req.Key)
	}
	if req.From != "" {
		if session.Source, err = netip.ParseAddr(req.From); err != nil || session.Source.Zone() != "" {
			return nil, fmt.Errorf("%q is not a client's address", req.From)
		}
	}
	session.Grant = func() (authkeys.Grant, error) { return grant, s.refuse(grant) }
	if req.Certificate != nil {
		return session, s.certified(session, grant, req.Certificate)
	}
	return session, nil
}

func (s *Server) refuse(grant authkeys.Grant) error {
	if s.o.Refuse == nil {
		return nil
	}
	return s.o.Refuse(grant)
}

// certified narrows a session to the principals and the validity of the key's
// certificate. line is that of its CA, which sshd has checked.
func (s *Server) certified(session *command.Session, line authkeys.Grant, wire []byte) error {
	key, err := ssh.ParsePublicKey(wire)
	if err != nil {
		return fmt.Errorf("the certificate: %w", err)
	}
	cert, err := authkeys.Certify(key)
	if err != nil {
		return err
	}
	session.Grant = func() (authkeys.Grant, error) {
		grant, err := cert.Narrow(line, session.Source, time.Now())
		if err == nil {
			err = s.refuse(grant)
		}
		return grant, err
	}
	_, err = session.Grant()
	return err
}
