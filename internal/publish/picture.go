package publish

import (
	"context"
	"errors"
	"sync"
	"time"

	"dnsgate/internal/records"
)

// picture is all hosts of the store: those of update, and what source has behind it.
type picture struct {
	records.Update
	source Source // not read from by anybody else until read is closed

	read   chan struct{}
	ending sync.Once
	err    error // set before read is closed: why the source was not read to its end
}

func newPicture(first records.Update, source Source) *picture {
	return &picture{Update: first, source: source, read: make(chan struct{})}
}

// size is at least the number of hosts that are not read yet.
func (p *picture) size() int { return len(p.Hosts) + p.Left }

// pieces reads the picture, once. Then Revision is that of the whole.
func (p *picture) pieces(ctx context.Context, ours func([]records.Host) []records.Host) Pieces {
	return func(yield func([]records.Host, error) bool) {
		for {
			if !yield(ours(p.Hosts), nil) {
				return
			}
			if p.Left == 0 {
				p.end(nil)
				return
			}
			p.Hosts = nil // not while the next ones are made
			u, err := p.source.Next(ctx)
			if err == nil && u.Whole {
				err = errors.New("the store begins with the whole again")
			}
			if err != nil {
				p.end(err)
				yield(nil, err)
				return
			}
			p.Update = u
		}
	}
}

// collect reads the picture, once. Then Hosts are all, each once.
func (p *picture) collect(ctx context.Context) error {
	u, err := records.Collect(ctx, &resumed{&p.Update, p.source})
	if err == nil {
		p.Update = u
	}
	p.end(err)
	return err
}

// end says that nobody reads any more. Only its first call counts.
func (p *picture) end(err error) {
	p.ending.Do(func() {
		p.err = err
		close(p.read)
	})
}

// pick reads a new picture for the hosts of these names, which are few.
func pick(ctx context.Context, source Source, names HostErrors) (hosts []records.Host) {
	for {
		u, err := source.Next(ctx)
		if err != nil {
			return hosts
		}
		for _, h := range u.Hosts {
			if names[h.Name] != nil {
				hosts = append(hosts, h)
			}
		}
		if u.Left == 0 {
			return hosts
		}
	}
}

// resumed is a source from an update on that was read already.
type resumed struct {
	first *records.Update // nil: it was given
	Source
}

func (s *resumed) Next(ctx context.Context) (records.Update, error) {
	if u := s.first; u != nil {
		s.first = nil
		return *u, nil
	}
	return s.Source.Next(ctx)
}

// takeWhole makes p the work, and waits until a round has read it.
func (r *runner) takeWhole(ctx context.Context, p *picture) error {
	r.mu.Lock()
	if r.since.IsZero() {
		r.since = time.Now()
	}
	r.needWhole, r.picture, r.known = true, p, p.Revision
	clear(r.pending)
	r.rouse()
	r.mu.Unlock()
	select {
	case <-p.read:
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.err != nil { // the round fails, and makes gather begin again
		<-ctx.Done()
		return ctx.Err()
	}
	r.mu.Lock()
	r.known = p.Revision
	r.mu.Unlock()
	return nil
}
