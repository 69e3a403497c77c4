package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"dnsgate/internal/records"
)

// Election says which of several gateways sends to a target that all have, and carries
// the sender's reports to the others.
type Election interface {
	// Term returns the number of this gateway's term, and a context that ends
	// with it; ok is false where another gateway is the sender, or none.
	Term(ctx context.Context) (term context.Context, end context.CancelFunc, number uint64, ok bool)

	// Tell tells the others; it fails where the term has ended.
	Tell(ctx context.Context, r Report) error

	// Overran says that this gateway may have sent something after its term. The
	// present sender then begins with the whole.
	Overran(ctx context.Context) error

	// Told is the last report, the number of times that a sender overran its term, and
	// a channel that closes when there is news.
	Told() (r Report, overruns uint64, news <-chan struct{})
}

// Report is what a sender has reached.
type Report struct {
	Sender    string                  `json:"sender"`
	Revision  uint64                  `json:"revision"` // of the newest host that was published
	Refused   map[records.Name]string `json:"refused"`  // of those up to it, and why
	Attempted uint64                  `json:"attempted"`
	Failure   string                  `json:"failure"` // of the attempt; "": none
}

// Elected is a target that several gateways have and one of them sends to. The others
// wait for its reports.
type Elected struct {
	Target
	election Election
	follow   func() Source // the whole, for the begin of a term
	patience time.Duration // for the sender's report

	term     uint64 // in which the target had the whole
	overruns uint64 // that were heard of before
	reached  Report
}

// NewElected makes target one that several gateways share.
func NewElected(target Target, election Election, follow func() Source) *Elected {
	return &Elected{Target: target, election: election, follow: follow, patience: 10 * time.Second}
}

// Close closes the target.
func (e *Elected) Close() error {
	if c, ok := e.Target.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Publish sends hosts if this gateway is the sender. Otherwise it waits for the
// sender's report about them.
func (e *Elected) Publish(ctx context.Context, hosts []records.Host, whole bool) error {
	want := newest(hosts)
	impatient := time.After(e.patience)
	for {
		if term, end, number, ok := e.election.Term(ctx); ok {
			defer end()
			return e.send(ctx, term, number, hosts, whole)
		}
		report, _, news := e.election.Told()
		switch {
		case report.Revision >= want:
			return orNil(e.refusedOf(report, hosts))
		case report.Failure != "" && report.Attempted >= want:
			return fmt.Errorf("gateway %s, which sends, failed: %s", report.Sender, report.Failure)
		}
		select {
		case <-news:
		case <-time.After(100 * time.Millisecond): // a term may begin
		case <-impatient:
			return errors.New("the gateway that sends for all has not told that it did")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send publishes hosts in this gateway's term. A new term, and one in which
// another gateway sent something late, begins with the whole.
func (e *Elected) send(ctx, term context.Context, number uint64, hosts []records.Host, whole bool) error {
	told, overruns, _ := e.election.Told()
	if e.term != number || e.overruns != overruns {
		u, err := records.Collect(term, e.follow())
		if err != nil {
			return err
		}
		hosts, whole = e.covered(u.Hosts), true
		e.reached = Report{Revision: told.Revision, Refused: make(map[records.Name]string)}
	}
	err := e.Target.Publish(term, hosts, whole)
	if term.Err() != nil && ctx.Err() == nil {
		e.term = 0
		return errors.Join(errors.New("the term of this gateway ended while it was sending"), e.election.Overran(ctx))
	}
	e.note(hosts, err)
	if e.reached.Failure == "" {
		e.term, e.overruns = number, overruns
	}
	return errors.Join(err, e.election.Tell(term, e.reached))
}

// note adds the result of a call of Publish to the report.
func (e *Elected) note(hosts []records.Host, err error) {
	r := &e.reached
	r.Attempted, r.Failure = max(r.Attempted, newest(hosts)), ""
	var refused HostErrors
	if err != nil && !errors.As(err, &refused) {
		r.Failure = err.Error()
		return
	}
	for _, h := range hosts {
		delete(r.Refused, h.Name)
	}
	for name, why := range refused {
		r.Refused[name] = why.Error()
	}
	r.Revision = max(r.Revision, newest(hosts))
}

func (e *Elected) covered(hosts []records.Host) (own []records.Host) {
	for _, h := range hosts {
		if e.Covers(h.Name) {
			own = append(own, h)
		}
	}
	return own
}

// refusedOf is what a report says of hosts.
func (e *Elected) refusedOf(r Report, hosts []records.Host) HostErrors {
	refused := make(HostErrors)
	for _, h := range hosts {
		if why, ok := r.Refused[h.Name]; ok {
			refused[h.Name] = errors.New(why)
		}
	}
	return refused
}

func orNil(e HostErrors) error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// newest is the latest revision among hosts.
func newest(hosts []records.Host) (revision uint64) {
	for _, h := range hosts {
		revision = max(revision, h.Revision)
	}
	return revision
}
