package follow

import (
	"context"
	"fmt"
	"time"

	"dnsgate/internal/records"
)

// TooFewError says that a change is served here, but by fewer followers than required.
type TooFewError struct{ Have, Require int }

func (e *TooFewError) Error() string {
	return fmt.Sprintf("%d of %d followers have it", e.Have, e.Require)
}

// WholeAnswer is the whole explanation for the key's holder.
func (e *TooFewError) WholeAnswer() string { return "stored, and published here; " + e.Error() }

// Wait returns once require keys have followers that serve each of names as of
// revision. It returns a *TooFewError when ctx ends first, and at once if fewer of them
// are live.
func (s *Server) Wait(ctx context.Context, names []records.Name, revision uint64, require int) error {
	for {
		s.mu.Lock()
		have, able := s.count(names, revision, time.Now())
		acked := s.acked
		s.mu.Unlock()
		if have >= require {
			return nil
		}
		tooFew := &TooFewError{have, require}
		if able < require {
			return tooFew
		}
		select {
		case <-acked:
		case <-time.After(heartbeat / 2): // one may have died
		case <-ctx.Done():
			return tooFew
		}
	}
}

// count returns how many keys have a follower that serves each of the names, and how many
// have a live one, for the name with the fewest.
func (s *Server) count(names []records.Name, revision uint64, now time.Time) (have, able int) {
	for i, name := range names {
		serving, living := make(map[string]bool), make(map[string]bool)
		for _, m := range s.members {
			if !m.names.Has(name) || now.Sub(m.lastAck) > liveFor {
				continue
			}
			key := m.grant.Fingerprint
			switch {
			case m.reached < revision:
				living[key] = true
			case !m.refused[name]:
				serving[key], living[key] = true, true
			}
		}
		if i == 0 || len(serving) < have {
			have = len(serving)
		}
		if i == 0 || len(living) < able {
			able = len(living)
		}
	}
	return have, able
}
