package screen

import (
	"context"
	"time"
)

// Source is a gateway as a screen sees it. Its methods may be called concurrently. What
// they return is never changed.
type Source interface {
	Now(ctx context.Context) (Now, error)
	Hosts(ctx context.Context) ([]Host, error) // by name; it may be some seconds old
	Keys(ctx context.Context) ([]Key, error)
	Host(ctx context.Context, name string) (Detail, error)

	// MayChange reports whether Offline and Rebuild are allowed. They check it too.
	MayChange() bool
	Offline(ctx context.Context, name string) error
	Rebuild(ctx context.Context) error
}

// Now is the state of a gateway.
type Now struct {
	Time, Started time.Time
	Version       string
	Revision      uint64
	Hosts, Keys   int

	Connections, LoggingIn, Sessions int
	Accepted, Refused                uint64
	Penalized                        int // sources

	// Counts of whole seconds, the newest last.
	Updates, Failures []int

	Publishers []Publisher
	Commands   []Command // the newest first
	Penalties  []Penalty
}

// MaxHosts is how many hosts a Source shows: the first ones by name.
const MaxHosts = 100_000

// Host is a name that has records.
type Host struct {
	Name      string
	Addresses string    // separated by commas
	Changed   time.Time // zero: not known
	Seen      time.Time // when it was last heard of; zero: not known
	Who       string    // the key of the last change; "": not known
	From      string    // the source of the last change
}

// Key is a line of authorized_keys.
type Key struct {
	Fingerprint string
	Comment     string
	May         string    // what it may do
	Used        time.Time // last; zero: not since the gateway started
	Count       uint64    // commands since the gateway started
}

// Publisher is a target, a follower, or another gateway.
type Publisher struct {
	Name     string
	Revision uint64
	Behind   uint64        // in revisions
	Pending  int           // hosts
	Lag      time.Duration // age of the oldest change that it lacks; negative: not known
	Error    string        // the last one; "": all is well
}

// Command is a command that has ended.
type Command struct {
	Time   time.Time
	Name   string
	Code   string
	Hosts  string
	Who    string
	Source string
	Took   time.Duration
}

// Penalty is a source that is slowed for a while.
type Penalty struct {
	Source string
	Until  time.Time
	Why    string
}

// Detail is all about one host, in lines of text.
type Detail struct {
	Name    string
	Records []string
	Keys    []string // those that may update it
	History []string // the newest first
}
