package rfc2136

import (
	"fmt"
	"strings"

	"dnsgate/internal/records"
)

// manages reports whether the record set of type t at name belongs to dnsgate.
// A TXT record at a hostname is somebody else's.
func manages(name records.Name, t records.Type) bool {
	return name.IsChallenge() == (t == records.TXT)
}

// typesOf are the types of the record sets that an UPDATE for host replaces:
// a server refuses it whole if its key may not change one of them.
func typesOf(host records.Host) (has []records.Type) {
	had := host.Had.With(host.Records)
	for _, t := range records.Types {
		if manages(host.Name, t) && had.Has(t) {
			has = append(has, t)
		}
	}
	return has
}

// withTypes are those of hosts that an UPDATE has anything to say of.
func withTypes(hosts []records.Host) (some []records.Host) {
	for _, h := range hosts {
		if len(h.Records) > 0 || len(typesOf(h)) > 0 {
			some = append(some, h)
		}
	}
	return some
}

// removals are those of hosts, unless they were refused, that may once have had type t,
// as hosts of which only that is known.
func (p *publication) removals(hosts []records.Host, t records.Type) (maybe []records.Host) {
	for _, h := range hosts {
		if manages(h.Name, t) && h.Had.With(h.Records).Perhaps(t) && p.refused[h.Name] == nil {
			maybe = append(maybe, records.Host{Name: h.Name, Revision: h.Revision, Had: records.Had(0).Add(t)})
		}
	}
	return maybe
}

// notTakenError is a host that the name server refuses or cannot get.
type notTakenError struct {
	zone, server string
	host         records.Host
	err          error
}

func (e *notTakenError) Error() string {
	return fmt.Sprintf("zone %s at name server %s: changing %s: %v", e.zone, e.server, typeNames(e.host), e.err)
}

func (e *notTakenError) Unwrap() error { return e.err }

// ForClient is what the holder of a key is told.
func (e *notTakenError) ForClient() string {
	return fmt.Sprintf("the name server did not take a change of %s at %s", typeNames(e.host), e.host.Name)
}

func typeNames(host records.Host) string {
	var names []string
	for _, t := range typesOf(host) {
		names = append(names, t.String())
	}
	return strings.Join(names, " and ")
}
