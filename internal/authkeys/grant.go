// Package authkeys reads OpenSSH's authorized_keys file and tells the Grant of a proven
// key.
//
// It trusts the file's owner, after checking that nobody else could have written the
// file. It rejects, and reports with its number, every line that it does not fully
// understand; the others work. It refuses a file that it cannot trust.
package authkeys

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"dnsgate/internal/records"
)

// Grant is what one line of authorized_keys allows. It is never changed once
// made; its slices must not be either.
type Grant struct {
	Fingerprint string // of the key, as ssh-keygen -l prints it: "SHA256:..."
	Comment     string // printable; the text after the key in the line
	Line        int    // in the file, from 1

	CA          bool         // it is for no key itself, but for the keys that this one has certified
	Certificate *Certificate // the certificate that let a key in through such a line; nil: the line is the key's own

	Admin    bool           // "dnsgate admin": the admin commands and no updates
	Monitor  bool           // "dnsgate monitor": those of them that only read, without backup
	Follow   bool           // "dnsgate follow": a follower, which receives the state of the names
	Hosts    []records.Name // exact names and wildcards, in the order given
	Suffixes []records.Name // any name below these, never these themselves

	HasTTL bool
	TTL    uint32 // seconds, of the records this key writes, when HasTTL

	Address  AddressRule
	Private  bool          // may publish private, carrier-shared and unique local addresses
	ACME     bool          // may publish TXT records at the challenge names of its hosts
	ReadOnly bool          // may not change anything
	Lease    time.Duration // how long a record lives without being refreshed; 0: for ever

	From            string    // the from option as written; empty: any source
	Expires         time.Time // UTC; the last second that the key is good; zero: never ends
	NoTouchRequired bool      // a security key's signature counts without a touch

	sources *sources // of From; nil: any source
}

// AddressRule says which addresses an update may name.
type AddressRule uint8

const (
	AnyAddress   AddressRule = iota // whatever the client names, else the connection's own
	PeerAddress                     // always the connection's own
	MatchAddress                    // what the client names must be the connection's own
)

var addressRules = [...]string{"any", "peer", "match"}

func (a AddressRule) String() string { return addressRules[a] }

// Same reports whether other grants the same. The line's number and comment do not
// matter.
func (g Grant) Same(other Grant) bool {
	g.Line, g.Comment = other.Line, other.Comment
	return reflect.DeepEqual(g, other)
}

// Covers reports whether the grant lets a client change name. A suffix covers every hostname
// below it, but neither itself nor wildcards: those must be named. A challenge
// name is covered by nothing: ask for its host, and for ACME.
func (g Grant) Covers(name records.Name) bool {
	if g.Follow {
		return false
	}
	if slices.Contains(g.Hosts, name) {
		return true
	}
	if name.IsWildcard() || name.IsChallenge() {
		return false
	}
	return slices.ContainsFunc(g.Suffixes, name.Below)
}

// Patterns returns the hosts, wildcards and suffixes as they stand in the line.
func (g Grant) Patterns() []string {
	var patterns []string
	for _, name := range g.Hosts {
		patterns = append(patterns, string(name))
	}
	for _, name := range g.Suffixes {
		patterns = append(patterns, "."+string(name))
	}
	return patterns
}

// Restrictions describes the key's restrictions beyond its hosts; "none" if there are
// no others.
func (g Grant) Restrictions() string {
	var parts []string
	add := func(set bool, format string, args ...any) {
		if set {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(g.CA, "cert-authority: for keys that it has certified")
	if c := g.Certificate; c != nil {
		add(true, "certificate %s, serial %d", quote(c.ID), c.Serial)
		add(c.From != "", "from %s", c.From)
	}
	add(g.ReadOnly, "read-only")
	add(g.HasTTL, "ttl %d", g.TTL)
	add(g.Address == PeerAddress, "only the connection's own address")
	add(g.Address == MatchAddress, "a named address must be the connection's own")
	add(g.Private, "private addresses allowed")
	add(g.ACME, "acme allowed")
	add(g.Lease > 0, "lease %s", g.Lease)
	add(g.From != "", "from %s", g.From)
	add(!g.Expires.IsZero(), "expires %s", g.Expires.Format(time.RFC3339))
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
