// Package publish converges name servers with the store: each target has one
// goroutine that follows the store, brings the target up to its revision at
// start, and then keeps it there. The targets themselves are packages of their own:
// datafile and rfc2136.
package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"dnsgate/internal/records"
)

// Target is one place that a name server reads. Its methods are called by one
// goroutine, except Name and Covers, which any may call.
type Target interface {
	// Name identifies the target in status, metrics and logs: "tinydns",
	// "rfc2136 dyn.example.com".
	Name() string

	// Covers reports whether the target publishes name at all.
	Covers(name records.Name) bool

	// Publish makes the target serve hosts, durably. A host without records is to be
	// removed. With whole set, hosts are all hosts of the store (that the target
	// covers), and everything else that the target once wrote is to be removed. Publish
	// is first called so, and again after an operator's "rebuild". With neither hosts
	// nor whole, the target's own sources changed (see Watcher).
	//
	// It returns nil once all are served, HostErrors if only some of hosts could not
	// be, and any other error if it is not known whether any is. A host that failed
	// comes again with a later call.
	Publish(ctx context.Context, hosts []records.Host, whole bool) error
}

// Watcher is a Target that also depends on files of the operator.
type Watcher interface {
	Target
	// Changed delivers a value when the target should publish again although the store
	// did not change.
	Changed() <-chan struct{}
}

// HostErrors says which hosts of a batch could not be published, and why; all
// others were.
type HostErrors map[records.Name]error

// Unwrap returns the errors, for errors.As.
func (e HostErrors) Unwrap() []error { return slices.Collect(maps.Values(e)) }

func (e HostErrors) Error() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(e)) {
		if len(parts) == 3 {
			parts = append(parts, fmt.Sprintf("and %d more", len(e)-3))
			break
		}
		parts = append(parts, fmt.Sprintf("%s: %v", name, e[name]))
	}
	return strings.Join(parts, "; ")
}
