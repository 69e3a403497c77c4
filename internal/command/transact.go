package command

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/pause"
	"dnsgate/internal/records"
)

// change is a command's effect on its hosts: all of it happens, or nothing.
type change struct {
	names   []records.Name
	check   func(hosts []records.Host) error // checks all hosts together; nil: no check
	edit    func(h records.Host, now time.Time) (records.Host, error)
	dryRun  bool
	unrated bool // an operator's
	heard   bool // its hosts have been heard of
	ttl     uint32
	grant   authkeys.Grant
	regrant func() (authkeys.Grant, error) // the key's grant by now
	source  string
	session int64
}

// change begins a change of s by the grant.
func (in *Interpreter) change(s *Session, grant authkeys.Grant) change {
	ttl := in.TTL()
	if grant.HasTTL {
		ttl = grant.TTL
	}
	return change{
		ttl:     ttl,
		grant:   grant,
		regrant: s.Grant,
		source:  s.place(),
		session: order(s.Began),
	}
}

// born is when this process began.
var born = time.Now()

// order is the number of a session that began at that time: Unix time in microseconds,
// by a clock that runs evenly when the wall clock jumps. Otherwise, after the clock
// jumps back, an old session would count as newer for an hour.
func order(began time.Time) int64 { return born.Add(began.Sub(born)).UnixMicro() }

// expires is the end of the grant's lease, or 0.
func (c *change) expires(now time.Time) int64 {
	if c.grant.Lease == 0 {
		return 0
	}
	return now.Add(c.grant.Lease + time.Second - 1).Unix() // never early
}

// outcome is the result for one host.
type outcome struct {
	code     Code // Good or NoChange
	old, new records.Host
}

const (
	maxConflicts = 100 // how often a command reads again after another one was faster
	fewConflicts = 5   // how often at once
)

// transact carries c out: it is stored durably, then published everywhere. The outcomes
// are in the order of c's names. With a DNSError they are returned too: then they are
// stored.
func (r *run) transact(c change) ([]outcome, error) {
	return r.interp.transact(r.ctx, c)
}

func (in *Interpreter) transact(ctx context.Context, c change) ([]outcome, error) {
	in.hear(c)
	if !c.dryRun && !c.unrated {
		if wait, name := in.Rates.take(c.grant.Fingerprint, c.names); wait > 0 {
			return nil, refusal(Abuse, "too many updates of %s; try again in %s", name, seconds(int(wait.Seconds())+1))
		}
	}
	done, err := in.attemptRepeatedly(ctx, c)
	if err != nil && asRefusal(err).Code != DNSError && !c.dryRun && !c.unrated {
		in.Rates.giveBack(c.grant.Fingerprint, c.names)
	}
	return done, err
}

// attemptRepeatedly attempts c until no other change interferes. It never overwrites a
// conflict blindly: an older session loses to a newer one. After a few conflicts it
// backs off, a little longer each time.
func (in *Interpreter) attemptRepeatedly(ctx context.Context, c change) ([]outcome, error) {
	for n := range maxConflicts {
		if n > fewConflicts {
			pause.For(ctx, rand.N(time.Duration(n)*time.Millisecond))
		}
		done, err := in.attempt(ctx, c)
		var conflict *records.Conflict
		if !errors.As(err, &conflict) {
			return done, err
		}
		if conflict.Current.Session > c.session {
			return nil, refusal(Outage, "a newer connection changed %s meanwhile, and stays; nothing was stored", conflict.Current.Name)
		}
	}
	return nil, refusal(Outage, "others change the same hosts all the time; nothing was stored")
}

// attempt reads, edits, commits and waits for the publishers, once. An unchanged host
// is committed too: nothing is stored for it, but the answer depends on it.
func (in *Interpreter) attempt(ctx context.Context, c change) ([]outcome, error) {
	hosts, err := in.Store.Hosts(ctx, c.names)
	if err != nil {
		return nil, inside(Outage, err, "the store cannot be read; nothing was stored; try again later")
	}
	if c.check != nil {
		if err := c.check(hosts); err != nil {
			return nil, err
		}
	}
	var reserved reservation
	defer func() { in.rooms.release(reserved) }()
	now := time.Now()
	done := make([]outcome, len(hosts))
	write := slices.Clone(hosts)
	changes := false
	for i, old := range hosts {
		updated, err := c.edit(old, now)
		if err == nil && len(old.Records) == 0 && len(updated.Records) > 0 {
			updated.MadeBy, err = in.room(ctx, c.grant, old, &reserved)
		}
		if err == nil && in.Fits != nil && len(updated.Records) > len(old.Records) {
			if why := in.Fits(updated); why != nil {
				err = refusal(Abuse, "%v; nothing was stored", why)
			}
		}
		if err != nil {
			return nil, err
		}
		done[i] = outcome{code: NoChange, old: old, new: updated}
		if !records.SameValues(old.Records, updated.Records) || old.TTL != updated.TTL && len(updated.Records) > 0 {
			done[i].code = Good
		}
		if !old.Equal(updated) && old.Revision+uint64(len(updated.Records)) > 0 {
			write[i], changes = updated, true
		}
	}
	if c.dryRun {
		return done, in.published(ctx, c, 0)
	}
	if changes {
		defer in.together.join(ctx)()
	}
	revision, err := in.commit(ctx, c, now, write)
	if err != nil {
		return nil, err
	}
	return done, in.published(ctx, c, revision)
}

// commitTimeout limits the store. There must be little time between the last look at
// the key's grant and the disk.
const commitTimeout = 10 * time.Second

// noGrant is the refusal of a key without any grant.
func noGrant(err error) error {
	if errors.Is(err, authkeys.ErrChanging) {
		return refusal(Outage, "%v", err)
	}
	return refusal(NoHost, "%v", err)
}

// stillGranted is an error if the key's grant no longer allows c. A change may have
// waited: for earlier changes of its host, for room, for a client that does not read.
func (c *change) stillGranted() error {
	now, err := c.regrant()
	if err != nil {
		return noGrant(err)
	}
	if !now.Same(c.grant) {
		return refusal(Outage, "what this key may do has changed meanwhile; nothing was stored; send it again")
	}
	return nil
}

func (in *Interpreter) commit(ctx context.Context, c change, now time.Time, write []records.Host) (uint64, error) {
	if err := c.stillGranted(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	by := records.Cause{Time: now, Session: c.session, Key: c.grant.Key(), Source: c.source}
	revision, err := in.Store.Commit(ctx, records.Txn{Cause: by, Hosts: write})
	var conflict *records.Conflict
	switch {
	case err == nil || errors.As(err, &conflict):
		return revision, err
	case errors.Is(err, records.ErrNotApplied):
		return 0, inside(Outage, err, "nothing was stored; try again later")
	}
	return 0, inside(Outage, err, "it is not known whether this was stored; send it again")
}

// published waits until the names of c are served as of revision. Revision 0 only asks
// whether a name server serves them at all; then nothing is stored yet.
func (in *Interpreter) published(ctx context.Context, c change, revision uint64) error {
	ctx, cancel := context.WithTimeout(ctx, in.PublishTimeout)
	defer cancel()
	err := in.Publishers.Wait(ctx, c.names, revision)
	if err == nil {
		return nil
	}
	var whole interface{ WholeAnswer() string } // of a publisher that knows the reason
	if errors.As(err, &whole) && revision > 0 && ctx.Err() != context.Canceled {
		return inside(DNSError, err, "%s", whole.WholeAnswer())
	}
	why := forClient(err)
	if c.grant.Admin {
		why = err.Error()
	}
	switch {
	case revision == 0:
		return inside(DNSError, err, "%s", why)
	case errors.Is(ctx.Err(), context.Canceled):
		return refusal(DNSError, "stored, but the gateway stopped before it was published; that follows when it is back")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return refusal(DNSError, "stored, but not published within %s; the gateway goes on trying", in.PublishTimeout)
	}
	return inside(DNSError, err, "stored, but not published: %s; the gateway goes on trying", why)
}
