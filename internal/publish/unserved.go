package publish

import (
	"context"
	"errors"

	"dnsgate/internal/records"
)

// Zoned is a Target of a name server that serves only those names that are in its
// zones.
type Zoned interface {
	Target

	// Lacks says why the name server, as of the last publication, does not answer for
	// name with authority; "" if it does. An error that wraps ErrZonesUnknown leaves
	// the question to a Verifier. Any goroutine may call it.
	Lacks(name records.Name) (why string, err error)
}

// ErrZonesUnknown says that a target cannot tell which zones its name server has.
var ErrZonesUnknown = errors.New("it is not known which zones the name server has")

// UnservedError says that no target's name server serves some names.
type UnservedError struct {
	Names []records.Name
	Why   string // of the first
}

func (e *UnservedError) Error() string { return e.ForClient() + ": " + e.Why }

// ForClient is what the holder of a key is told.
func (e *UnservedError) ForClient() string {
	return "no name server here serves " + records.First(e.Names, 5, ", ")
}

// Add adds a name that is not served.
func (e *UnservedError) Add(name records.Name, why string) {
	if len(e.Names) == 0 {
		e.Why = why
	}
	e.Names = append(e.Names, name)
}

// OrNil is e if there are such names.
func (e *UnservedError) OrNil() error {
	if len(e.Names) == 0 {
		return nil
	}
	return e
}

// covered is an *UnservedError of those of names that no target covers.
func (s *Set) covered(names []records.Name) error {
	var unserved UnservedError
	for _, name := range names {
		covered := false
		for _, r := range s.runners {
			covered = covered || r.target.Covers(name)
		}
		switch {
		case covered:
		case len(s.runners) == 0:
			unserved.Add(name, "there is neither [tinydns] nor any [[rfc2136]] to publish to")
		default:
			unserved.Add(name, "it is in no zone of [[rfc2136]]")
		}
	}
	return unserved.OrNil()
}

// served is an *UnservedError of those of names that no name server serves,
// once each has been published to.
func (s *Set) served(ctx context.Context, names []records.Name) error {
	var unserved UnservedError
	for _, name := range names {
		why, err := s.lacks(ctx, name)
		if err != nil {
			return err
		}
		if why != "" {
			unserved.Add(name, why)
		}
	}
	return unserved.OrNil()
}

// lacks says why no name server serves a name, or "".
func (s *Set) lacks(ctx context.Context, name records.Name) (why string, err error) {
	for _, r := range s.runners {
		if _, zoned := r.target.(Zoned); !zoned && r.target.Covers(name) {
			return "", nil
		}
	}
	for _, r := range s.runners {
		if !r.target.Covers(name) {
			continue
		}
		if why, err = r.lacks(ctx, name); err == nil && why == "" {
			return "", nil
		}
	}
	return why, err
}

// lacks says why the target's name server does not serve a name, or "".
func (r *runner) lacks(ctx context.Context, name records.Name) (why string, err error) {
	zoned, ok := r.target.(Zoned)
	if !ok {
		return "", nil
	}
	if err := r.tried(ctx); err != nil {
		return "", err
	}
	why, err = zoned.Lacks(name)
	switch {
	case err == nil:
		return why, nil
	case errors.Is(err, ErrZonesUnknown) && r.verifier != nil:
		return "", nil // the name server itself tells, and only with authority
	}
	return "", &Error{r.target.Name(), err}
}

// tried waits for the end of the first round.
func (r *runner) tried(ctx context.Context) error {
	for {
		r.mu.Lock()
		rounds, ended := r.ok+r.bad, r.ended
		r.mu.Unlock()
		if rounds > 0 {
			return nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return &Error{r.target.Name(), late(ctx)}
		}
	}
}
