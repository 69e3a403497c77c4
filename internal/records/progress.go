package records

import "time"

// Progress is how far one publisher has come, for status and metrics.
type Progress struct {
	Name          string        // of the target: "tinydns", "rfc2136 dyn.example.com"
	Revision      uint64        // published, apart from the hosts that failed
	Known         uint64        // the newest revision that the publisher has heard of
	Pending       int           // hosts changed and not yet published, failed ones included
	Failed        int           // hosts that the target refused, and that will be tried again
	Kept          uint64        // the earliest revision of the failed hosts that are to be removed; 0: none is
	PendingSince  time.Time     // when the oldest of them was heard of; zero: none is pending
	LastError     string        // of the last round that failed, even in part; "" once all is published
	LastErrorTime time.Time     // zero: never
	NextTry       time.Time     // after a failure; zero: nothing to try again
	Publications  uint64        // rounds that ended without a failure
	Failures      uint64        // rounds that failed, even in part
	LastDuration  time.Duration // of the last round
	Errands       []Errand      // work after a publication, which no client waits for
}

// Errand is the state of work that a target does after it has published.
type Errand struct {
	Name          string    // "after ./to-secondaries", "notify 192.0.2.53:53"
	LastDone      time.Time // zero: never yet
	LastError     string    // "" once it is done
	LastErrorTime time.Time // zero: never
	NextTry       time.Time // zero: not before it is wanted again
}
