package boltstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	"go.etcd.io/bbolt"
)

var _ records.Replacer = (*Store)(nil)

// picture is hosts as they will be in the store at a revision.
type picture struct {
	hosts    *memory.Index
	revision uint64
}

// NewPicture implements records.Replacer.
func (s *Store) NewPicture() records.Picture {
	return &picture{memory.NewIndex(0, 0, 0), s.Revision() + 1}
}

// Put implements records.Picture.
func (p *picture) Put(h records.Host) {
	h.Revision = p.revision
	p.hosts.Load(memory.Entry{Host: h, Logged: p.revision})
}

// Len implements records.Picture.
func (p *picture) Len() int { return p.hosts.Names() }

// Replace implements records.Replacer.
func (s *Store) Replace(ctx context.Context, p records.Picture, by records.Cause, mark string) (uint64, error) {
	return s.await(ctx, &commit{ctx: ctx, done: make(chan struct{}), instead: func() (uint64, error) {
		return s.replace(p.(*picture), by, mark)
	}})
}

// maxReplaced is how many lines of the log a picture writes at most: a large one would
// leave nothing of the history before it.
const maxReplaced = maxLog / 16

// replacement collects the changes of a picture.
type replacement struct {
	store        *Store
	by           records.Cause
	revision     uint64
	hosts, lines *bbolt.Bucket
	logged       logSize
	left         int            // lines of the log that may still be written
	first        bool           // the store has no hosts: all of the picture is new
	changed      []memory.Entry // otherwise
	added        int
}

func (s *Store) replace(p *picture, by records.Cause, mark string) (uint64, error) {
	if err := s.usable(); err != nil {
		return 0, err
	}
	if p.revision != s.Revision()+1 {
		return 0, fmt.Errorf("the store was changed meanwhile; %w", records.ErrNotApplied)
	}
	r := &replacement{store: s, by: by, revision: p.revision, first: s.Names() == 0}
	err := s.updateFile(func(tx *bbolt.Tx) error {
		if err := r.put(tx, p); err != nil {
			return fmt.Errorf("%w: %w", errBeforeWrite, err)
		}
		return errors.Join(putMeta(tx, keyMark, []byte(mark)),
			putState(tx, state{r.revision, uint64(s.Names() + r.added), r.logged.lines}))
	})
	if err != nil {
		return 0, s.writeFailed(err)
	}
	s.logged = r.logged
	if r.first {
		s.Adopt(p.hosts, r.revision)
	} else {
		s.Apply(r.revision, r.changed)
	}
	return r.revision, nil
}

// put writes hosts in the order of their names: bbolt moves all later ones of a page
// for each that comes before them.
func (r *replacement) put(tx *bbolt.Tx, p *picture) error {
	r.hosts, r.lines, r.logged, r.left = tx.Bucket(bucketHosts), tx.Bucket(bucketLog), r.store.logged, maxReplaced
	r.hosts.FillPercent = 0.9
	for e := range p.hosts.InOrder() {
		if err := r.change(r.store.Entry(e.Name), e); err != nil {
			return err
		}
	}
	if !r.first {
		if err := r.takeAway(p); err != nil {
			return err
		}
	}
	return trimLog(r.lines, &r.logged)
}

// takeAway takes the records of the hosts that the picture lacks.
func (r *replacement) takeAway(p *picture) error {
	for was := range r.store.InOrder() {
		if len(was.Records) == 0 || p.hosts.Entry(was.Name).Revision > 0 {
			continue
		}
		gone := memory.Entry{Host: was.Host, Logged: r.revision}
		gone.Revision, gone.Records = r.revision, nil
		if err := r.change(was, gone); err != nil {
			return err
		}
	}
	return nil
}

// change writes e in the place of was, if they differ.
func (r *replacement) change(was, e memory.Entry) error {
	if was.Revision > 0 && e.Equal(was.Host) {
		return nil
	}
	if was.Revision == 0 {
		r.added++
	}
	e.Had = was.Had.With(e.Records)
	if records.SameValues(was.Records, e.Records) && (was.TTL == e.TTL || len(e.Records) == 0) {
		e.Logged = was.Logged
	} else if r.left > 0 {
		r.left--
		at := r.by.Time
		if e.Session > 0 && len(e.Records) > 0 {
			at = time.UnixMicro(e.Session)
		}
		err := putLine(r.lines, line{records.Change{
			Revision: r.revision, Time: at.UTC().Truncate(time.Second), Name: e.Name,
			Old: was.Records, New: e.Records, TTL: e.TTL, Key: r.by.Key, Source: r.by.Source,
		}, was.Logged}, &r.logged)
		if err != nil {
			return err
		}
	}
	if !r.first {
		r.changed = append(r.changed, e)
	}
	return r.hosts.Put([]byte(e.Name), memory.SealHost(e))
}
