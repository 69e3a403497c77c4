package records

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Store is what is true. Name servers are projections of it.
//
// Nothing here needs one file on one disk, so that a shared store can stand
// behind it too. All methods are safe for concurrent use.
type Store interface {
	// Hosts reads the hosts with these names, in their order, all at one
	// moment and never older than the last Commit that returned. A name that
	// was never written comes back with revision 0.
	Hosts(ctx context.Context, names []Name) ([]Host, error)

	// Find returns, by name, every host that match wants.
	Find(match func(Name) bool) []Host

	// Commit applies t whole, or not at all, and returns its revision once it
	// is durable. Each host of t must still be at the revision that was read;
	// one that is to be as it is keeps it, and is known to be durable then, and
	// the revision is that of the newest host if none changes. The error is a *Conflict, ErrNotApplied or ErrUnknown.
	Commit(ctx context.Context, t Txn) (revision uint64, err error)

	// Follow begins a sequence of updates.
	Follow() Follower

	// History returns the last changes of name, newest first, at most limit.
	// An empty name stands for all hosts that match wants.
	History(name Name, match func(Name) bool, limit int) ([]Change, error)

	// Backup writes a consistent snapshot, history included, for Restore.
	Backup(w io.Writer) error

	// Revision is the number of the last transaction.
	Revision() uint64

	// Len is the number of hosts that have records.
	Len() int

	// Names is the number of hosts that have records, or once had some and are
	// not forgotten.
	Names() int

	// Made is the number of hosts that have records and this MadeBy.
	Made(maker uint64) int

	// Forget forgets some hosts that have had no records since a revision not
	// later than reached. Whoever follows the store must have come so far, or
	// it will never learn that they are gone. Their history stays.
	Forget(ctx context.Context, reached uint64) error
}

// Txn is all that one command changes.
type Txn struct {
	Time    time.Time // when
	Session int64     // Unix microseconds when the session began; 0: none did it
	Key     string    // fingerprint of the key, or who else did it
	Source  string    // address that the session came from, or "-"
	Hosts   []Host    // the states to be; each Revision is the one that was read
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

// Update is what a follower learns at once.
type Update struct {
	Revision uint64 // that the hosts bring the follower to
	Whole    bool   // Hosts are all there are, not only those that changed
	Hosts    []Host // in no order; only the newest state of each
}

// Follower sees a consistent picture of the store, then every later state, in
// the order of revisions. It belongs to one goroutine.
type Follower interface {
	// Next blocks until there is something new or ctx ends. The first call
	// returns the whole picture, and so does one after the follower fell too
	// far behind.
	Next(ctx context.Context) (Update, error)
}
