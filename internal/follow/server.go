package follow

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records"
)

// How many followers there may be.
const (
	maxFollowers    = 256 // in all
	maxKeyFollowers = 4   // of one key; another one takes the place of the oldest
	maxWholes       = 2   // receiving the whole at once; others wait in line
)

// A follower is live if its last acknowledgement is not older than this. One that is
// gone is shown for a while.
const (
	liveFor  = 3 * time.Second
	shownFor = 24 * time.Hour
)

// Why a stream ends, besides the follower hanging up. Errors of Serve wrap one.
var (
	ErrStopping = errors.New("the gateway is stopping")
	ErrGrant    = errors.New("the key may not go on")
	ErrNames    = errors.New("the names of the key have changed; connect again for the new ones")
	ErrRoom     = errors.New("too many followers")
	ErrReplaced = errors.New("a further follower of the same key has taken the place")
	ErrUnread   = errors.New("the follower did not read")
	ErrWords    = errors.New("not what a follower says")
)

// Server serves the stream to every follower of a gateway. Its methods may be
// called concurrently.
type Server struct {
	store  records.Store
	id     string
	log    *slog.Logger
	wholes chan struct{}

	mu      sync.Mutex
	members []*member
	gone    []Status      // newest last
	acked   chan struct{} // closed and replaced when a follower acknowledges, comes or goes
}

// NewServer makes a Server of store, which has the name id.
func NewServer(store records.Store, id string, log *slog.Logger) *Server {
	return &Server{store: store, id: id, log: log, wholes: make(chan struct{}, maxWholes), acked: make(chan struct{})}
}

// Status describes one follower.
type Status struct {
	Key       string    // fingerprint
	Comment   string    // of the key
	Source    string    // address
	Since     time.Time // when it came
	Reached   uint64    // the revision that it serves, but for Refused
	Refused   int       // hosts that its name server refuses
	Lag       time.Duration
	Gone      time.Time // zero: it is here
	Why       string    // why it is gone
	Acked     time.Time // its last acknowledgement; zero: none yet
	Receiving bool      // it receives the whole, or waits in line for it
}

// member is a connected follower.
type member struct {
	grant   authkeys.Grant // as of the beginning
	names   Names          // of it
	source  string
	since   time.Time
	end     func(why error)
	reached uint64
	refused map[records.Name]bool
	lastAck time.Time
	unacked []sent // oldest first
	last    uint64 // the revision that was sent last
	whole   bool   // it receives the whole, or waits for it
}

// sent is a "# at" line.
type sent struct {
	revision uint64
	at       time.Time
}

// maxUnacked is how many lines are remembered to compute a lag.
const maxUnacked = 4096

// enter takes a place for m.
func (s *Server) enter(m *member) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var same []*member
	for _, other := range s.members {
		if other.grant.Fingerprint == m.grant.Fingerprint {
			same = append(same, other)
		}
	}
	if len(same) >= maxKeyFollowers {
		same[0].end(ErrReplaced)
		s.remove(same[0])
	}
	if len(s.members) >= maxFollowers {
		return fmt.Errorf("%w: there are %d already", ErrRoom, maxFollowers)
	}
	s.members = append(s.members, m)
	s.gone = slices.DeleteFunc(s.gone, func(g Status) bool { return g.Key == m.grant.Fingerprint })
	s.tell()
	return nil
}

// leave gives the place back; err is the reason, nil if the follower hung up.
func (s *Server) leave(m *member, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.members, m) {
		return
	}
	s.remove(m)
	now := time.Now()
	st := m.status(now)
	st.Gone, st.Why = now, errHungUp.Error()
	if err != nil {
		st.Why = err.Error()
	}
	s.gone = append(s.forgotten(now), st)
	s.gone = s.gone[max(0, len(s.gone)-maxFollowers):]
	s.tell()
}

func (s *Server) remove(m *member) {
	s.members = slices.DeleteFunc(s.members, func(other *member) bool { return other == m })
}

// forgotten is s.gone without the followers that have been gone for too long.
func (s *Server) forgotten(now time.Time) []Status {
	return slices.DeleteFunc(s.gone, func(g Status) bool { return now.Sub(g.Gone) > shownFor })
}

// tell wakes everybody who waits for followers.
func (s *Server) tell() {
	close(s.acked)
	s.acked = make(chan struct{})
}

// Followers are the connected followers, and those of the last day that have gone and
// not come back.
func (s *Server) Followers() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.gone = s.forgotten(now)
	all := slices.Clone(s.gone)
	for i := range all {
		all[i].Lag = now.Sub(cmp.Or(all[i].Acked, all[i].Since))
	}
	for _, m := range s.members {
		all = append(all, m.status(now))
	}
	slices.SortStableFunc(all, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Comment, b.Comment), cmp.Compare(a.Key, b.Key), a.Since.Compare(b.Since))
	})
	return all
}

func (m *member) status(now time.Time) Status {
	st := Status{
		Key: m.grant.Fingerprint, Comment: m.grant.Comment, Source: m.source, Since: m.since, Receiving: m.whole,
		Reached: m.reached, Refused: len(m.refused), Acked: m.lastAck,
	}
	switch {
	case len(m.unacked) > 0:
		st.Lag = now.Sub(m.unacked[0].at)
	case m.lastAck.IsZero():
		st.Lag = now.Sub(m.since)
	}
	return st
}

// note remembers that everything up to revision was sent.
func (s *Server) note(m *member, revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.last = revision
	if len(m.unacked) < maxUnacked {
		m.unacked = append(m.unacked, sent{revision, time.Now()})
	} else {
		m.unacked[maxUnacked-1].revision = revision
	}
}

// ack notes a follower's acknowledgement.
func (s *Server) ack(m *member, revision uint64, refused []records.Name) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if revision > m.last {
		return fmt.Errorf("%w: it serves revision %d, and was sent no more than %d", ErrWords, revision, m.last)
	}
	m.reached, m.lastAck = revision, time.Now()
	m.refused = nil
	if len(refused) > 0 {
		m.refused = make(map[records.Name]bool, len(refused))
	}
	for _, name := range refused {
		m.refused[name] = true
	}
	done := 0
	for done < len(m.unacked) && m.unacked[done].revision <= revision {
		done++
	}
	m.unacked = m.unacked[done:]
	s.tell()
	return nil
}
