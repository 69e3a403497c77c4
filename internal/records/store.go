package records

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Store holds the truth. Name servers are projections of it.
//
// Nothing here needs one file on one disk, so that a shared store can stand behind it
// too: methods that may wait take a context and return an error, and questions are
// data. All methods are safe for concurrent use.
type Store interface {
	// Hosts reads the hosts with these names, in their order, all at one
	// moment and never older than the last Commit that returned. A name that
	// was never written comes back with revision 0.
	Hosts(ctx context.Context, names []Name) ([]Host, error)

	// Find returns the selected names of the hosts that the store has, in order.
	Find(ctx context.Context, of Selection) ([]Name, error)

	// Commit applies t whole, or not at all, and returns its revision once it
	// is durable. Each host of t must still be at the revision that was read.
	// An unchanged host is committed too: it keeps its revision, and is known to
	// be durable then. If none changes, the revision is that of the newest host.
	// The error is a *Conflict, or wraps ErrNotApplied or ErrUnknown.
	Commit(ctx context.Context, t Txn) (revision uint64, err error)

	// Follow begins a sequence of updates after a revision that an Update told
	// before, perhaps to an earlier process; 0 begins with the whole.
	Follow(after uint64) Follower

	// History returns the last changes of the selected names, newest first, at most
	// limit. The store decides how far back they go.
	History(ctx context.Context, of Selection, limit int) ([]Change, error)

	// Backup writes a consistent snapshot, including the history.
	Backup(ctx context.Context, w io.Writer) error

	// Mark is the last one that a transaction set, or "".
	Mark(ctx context.Context) (string, error)

	// Forget forgets some hosts that have had no records since a revision not
	// later than reached. A follower that has not come so far may be given the
	// whole again. Their history stays.
	Forget(ctx context.Context, reached uint64) error

	// Revision is that of the last transaction. Revisions grow, and need not be
	// dense.
	Revision() uint64

	// Len is the number of hosts that have records.
	Len() int

	// Names is the number of hosts that have records, or once had some and are
	// not forgotten.
	Names() int

	// Made is the number of hosts that have records and this MadeBy.
	Made(maker uint64) int
}

// Replacer is a Store that can be given other hosts as a whole: a follower's.
type Replacer interface {
	Store

	// NewPicture returns a Picture without hosts.
	NewPicture() Picture

	// Replace makes p all that there is, in one transaction with a mark, as Commit
	// does. A host that p has as it was keeps its revision; one that p lacks
	// loses its records. Nothing else may change the store since NewPicture, and
	// nobody may use p afterwards.
	Replace(ctx context.Context, p Picture, by Cause, mark string) (revision uint64, err error)
}

// Picture is all hosts of another store. It belongs to one goroutine.
type Picture interface {
	// Put adds a host, or replaces it. Its Session tells when it was changed.
	Put(h Host)

	// Len is the number of hosts.
	Len() int
}

// Txn is all changes of one command, or a group of changes that were made elsewhere.
type Txn struct {
	Cause
	Hosts  []Host  // the new states, each host once; each Revision is the one that was read
	Causes []Cause // of each of Hosts, where they differ; nil: Cause is that of all
	Mark   string  // a note that the store keeps with it, such as how far a follower has come; "": the old one stays
}

// Cause is the origin of a change.
type Cause struct {
	Time    time.Time // when
	Session int64     // Unix microseconds when the session began; 0: none did it
	Key     string    // fingerprint of the key, or another author
	Source  string    // address that the session came from, or "-"
}

// Check says why no store takes a change by c: its key or source could not be read
// back.
func (c Cause) Check() error {
	for _, word := range []string{c.Key, c.Source} {
		if err := checkWord(word); err != nil {
			return err
		}
	}
	return nil
}

// Of is the cause of the change of t.Hosts[i].
func (t *Txn) Of(i int) Cause {
	if t.Causes == nil {
		return t.Cause
	}
	return t.Causes[i]
}

// Conflict says that somebody else changed a host since it was read; nothing
// was applied.
type Conflict struct {
	Current Host // as it is now
}

func (c *Conflict) Error() string {
	return fmt.Sprintf("%s was changed meanwhile (revision %d)", c.Current.Name, c.Current.Revision)
}

var (
	// ErrNotApplied is wrapped by a Commit error after which the store is
	// certainly as it was.
	ErrNotApplied = errors.New("nothing was stored")

	// ErrUnknown is wrapped by a Commit error after which only reading again
	// tells whether the transaction was applied.
	ErrUnknown = errors.New("it is not known whether the change was stored")
)
