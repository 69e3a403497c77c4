package screen

import (
	"context"
	"time"
)

// Source is a gateway as a screen sees it. Its methods may be called concurrently;
// what they return is not changed after.
type Source interface {
	Now(ctx context.Context) (Now, error)
	Hosts(ctx context.Context) ([]Host, error) // by name; they may be some seconds old
	Keys(ctx context.Context) ([]Key, error)
	Host(ctx context.Context, name string) (Detail, error)

	// MayChange reports whether who looks may use the two below; they check it.
	MayChange() bool
	Offline(ctx context.Context, name string) error
	Rebuild(ctx context.Context) error
}

// Now is what a gateway does.
type Now struct {
	Time, Started time.Time
	Version       string
	Revision      uint64
	Hosts, Keys   int

	Connections, LoggingIn, Sessions int
	Accepted, Refused                uint64
	Penalized                        int // sources

	// By the second, the newest last; a second is whole.
	Updates, Failures []int

	Publishers []Publisher
	Commands   []Command // the last ones, the newest first
	Penalties  []Penalty
}

// MaxHosts is how many hosts a Source has: of more, the first by name.
const MaxHosts = 100_000

// Host is a name that has records.
type Host struct {
	Name      string
	Addresses string    // joined by commas
	Changed   time.Time // zero: not known
	Seen      time.Time // last heard of; zero: not known
	Who       string    // the key that changed it last; "": not known
	From      string    // the source of that
}

// Key is a line of authorized_keys.
type Key struct {
	Fingerprint string
	Comment     string
	May         string    // its hosts
	Used        time.Time // last; zero: not since the gateway started
	Count       uint64    // of its commands since then
}

// Publisher is one target, or a follower, or another gateway.
type Publisher struct {
	Name     string
	Revision uint64
	Behind   uint64        // revisions
	Pending  int           // hosts
	Lag      time.Duration // age of the oldest of them
	Error    string        // last; "": all is published
	NextTry  time.Time
}

// Command is one that has ended.
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

// Detail is all that there is to say of one host, in lines.
type Detail struct {
	Name    string
	Records []string
	Keys    []string // that may update it
	History []string // the newest first
}
