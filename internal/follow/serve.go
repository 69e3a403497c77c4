package follow

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/pause"
	"dnsgate/internal/records"
)

// round is how often the grant is looked up while nothing changes.
const round = 250 * time.Millisecond

// Session is one follower's connection.
type Session struct {
	Grant    authkeys.Grant // as of the beginning
	Regrant  func() (authkeys.Grant, error)
	Source   string // address
	Store    string // the store that it knows; "": none
	Revision uint64 // of that store, as it was last told
	In       io.Reader
	Out      *bufio.Writer
	Stopping <-chan struct{} // closed when the gateway stops
	Patience time.Duration   // how long the door lets a write take; 0: for ever
}

// Serve serves one follower until it hangs up, which is no error, or may not go on. A
// goroutine may still be reading f.In when it returns; the door ends that.
func (s *Server) Serve(ctx context.Context, f Session) (err error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	m := &member{grant: f.Grant, names: NewNames(f.Grant.Hosts, f.Grant.Suffixes), source: f.Source, since: time.Now(), end: end}
	st := &stream{server: s, Session: f, member: m, word: word(s.id, f.Grant.Patterns())}
	if f.Store == st.word && f.Revision <= s.store.Revision() { // else it could acknowledge what is still to come
		st.reached, m.last = f.Revision, f.Revision
	}
	if err := s.enter(m); err != nil {
		return err
	}
	defer func() { s.leave(m, err) }()
	go st.readAcks(end)
	go func() {
		select {
		case <-f.Stopping:
			end(ErrStopping)
		case <-ctx.Done():
		}
	}()
	err = st.run(ctx)
	if cause := context.Cause(ctx); cause != nil && (err == nil || errors.Is(err, context.Canceled) || errors.Is(err, errHungUp)) {
		err = cause
	}
	if errors.Is(err, errHungUp) {
		return nil
	}
	return err
}

var errHungUp = errors.New("the follower hung up")

// stream is the output for one follower. It belongs to one goroutine.
type stream struct {
	Session
	server  *Server
	member  *member
	word    string
	reached uint64    // the last revision that it was told
	beat    time.Time // when
	placed  bool      // it has one of server.wholes
	group   int       // lines since the last "# at"
	partial bool      // a group has begun, and the next "# at" must end it
	text    []byte
}

func (st *stream) run(ctx context.Context) error {
	defer st.giveWhole()
	fmt.Fprintf(st.Out, "%s%s %s\n", firstLine, format, st.word)
	if err := st.flush(); err != nil {
		return err
	}
	source := st.server.store.Follow(st.reached)
	for {
		err := st.permitted()
		if errors.Is(err, authkeys.ErrChanging) { // the file will be read in a moment
			pause.For(ctx, round/5)
			continue
		}
		if err != nil {
			return err
		}
		u, err := next(ctx, source)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			err = st.rest()
		case err == nil:
			err = st.send(ctx, u)
		}
		if err != nil {
			return err
		}
	}
}

// next waits for an update, for one round at most.
func next(ctx context.Context, source records.Follower) (records.Update, error) {
	ctx, cancel := context.WithTimeout(ctx, round)
	defer cancel()
	return source.Next(ctx)
}

// permitted looks up the key's grant again. Other names are another stream.
func (st *stream) permitted() error {
	grant, err := st.Regrant()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGrant, err)
	}
	was := st.member.grant
	if slices.Equal(grant.Hosts, was.Hosts) && slices.Equal(grant.Suffixes, was.Suffixes) && grant.Follow {
		return nil
	}
	if !grant.Follow || word(st.server.id, grant.Patterns()) != st.word {
		return ErrNames
	}
	return nil
}

// rest sends a heartbeat when it is time for one.
func (st *stream) rest() error {
	if st.partial || time.Since(st.beat) < heartbeat {
		return nil
	}
	return st.at(st.reached)
}

// at ends a group.
func (st *stream) at(revision uint64) error {
	st.server.note(st.member, revision)
	st.reached, st.beat, st.group, st.partial = revision, time.Now(), 0, false
	fmt.Fprintf(st.Out, "%s%d %s\n", atLine, revision, st.beat.UTC().Format(time.RFC3339))
	return st.flush()
}

// send sends the hosts of u that the follower may have. If there are none, the next
// heartbeat tells the revision.
func (st *stream) send(ctx context.Context, u records.Update) error {
	if u.Whole {
		if err := st.takeWhole(ctx); err != nil {
			return err
		}
		st.partial = true
		st.Out.WriteString(wholeLine + "\n")
	}
	for _, h := range u.Hosts {
		if !st.member.names.Has(h.Name) || st.placed && len(h.Records) == 0 && !st.again(h, u) {
			continue
		}
		st.group++
		st.partial = true
		if err := st.change(ctx, h); err != nil {
			return err
		}
	}
	switch {
	case u.Left > 0:
		st.partial = true
		return nil
	case st.group == 0 && !st.placed && time.Since(st.beat) < heartbeat:
		st.reached, st.partial = u.Revision, false
		return nil
	}
	st.giveWhole()
	return st.at(u.Revision)
}

// again reports whether h may have been sent before, in the same whole.
func (st *stream) again(h records.Host, u records.Update) bool {
	return h.Revision > u.Revision || u.Left == 0
}

// change sends the state of h as a change, with its author if the history still has it.
// For a whole the history is not asked.
func (st *stream) change(ctx context.Context, h records.Host) error {
	line := records.StateLine(h)
	if !st.placed {
		changes, err := st.server.store.History(ctx, records.Selection{Names: []records.Name{h.Name}}, 1)
		if err != nil {
			return err
		}
		if len(changes) == 1 && changes[0].Revision == h.Revision {
			line = changes[0]
		}
	}
	st.text = append(line.AppendText(st.text[:0]), '\n')
	if _, err := st.Out.Write(st.text); err != nil {
		return st.unread(err)
	}
	return nil
}

// takeWhole waits in line for one of the places of followers that receive the whole.
// Meanwhile the heartbeat repeats the old revision.
func (st *stream) takeWhole(ctx context.Context) error {
	st.server.receiving(st.member, true)
	for !st.placed {
		select {
		case st.server.wholes <- struct{}{}:
			st.placed = true
		case <-time.After(round):
			if err := st.permitted(); err != nil && !errors.Is(err, authkeys.ErrChanging) {
				return err
			}
			if err := st.rest(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *Server) receiving(m *member, whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.whole = whole
}

func (st *stream) giveWhole() {
	if st.placed {
		st.placed = false
		st.server.receiving(st.member, false)
		<-st.server.wholes
	}
}

func (st *stream) flush() error {
	if err := st.Out.Flush(); err != nil {
		return st.unread(err)
	}
	return nil
}

// unread explains a failed write: the follower has gone, or the door has cut it off.
func (st *stream) unread(err error) error {
	if st.Patience > 0 && st.quiet() > st.Patience*9/10 {
		return fmt.Errorf("%w for %s", ErrUnread, st.Patience)
	}
	return fmt.Errorf("%w: %w", errHungUp, err)
}

// quiet is how long the follower has acknowledged nothing.
func (st *stream) quiet() time.Duration {
	st.server.mu.Lock()
	defer st.server.mu.Unlock()
	last := st.member.lastAck
	if last.IsZero() {
		last = st.member.since
	}
	return time.Since(last)
}
