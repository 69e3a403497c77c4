//go:build linux && !client

package main

import (
	"slices"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/publish/datafile"
	"dnsgate/internal/publish/rfc2136"
	"dnsgate/internal/records"
)

// allZones are those that a gateway's name servers have.
type allZones struct {
	rfc2136 []*rfc2136.Target
	tinydns *datafile.Zones // nil: there is no tinydns
}

// unserved returns the names that g may update and no name server serves, and why the
// first of them is not served.
func (z *allZones) unserved(g authkeys.Grant) (names []records.Name, why string) {
	note := func(name records.Name, because string) {
		if because == "" {
			return
		}
		if len(names) == 0 {
			why = because
		}
		names = append(names, name)
	}
	for _, h := range g.Hosts {
		note(h, z.lacks(h))
	}
	for _, s := range g.Suffixes {
		if !z.below(s) {
			note("."+s, z.lacks("any."+s))
		}
	}
	return names, why
}

// lacks says why no name server serves name; "" if one does.
func (z *allZones) lacks(name records.Name) (why string) {
	if slices.ContainsFunc(z.rfc2136, func(r *rfc2136.Target) bool { return r.Covers(name) }) {
		return ""
	}
	if z.tinydns == nil {
		return "it is in no zone of [[rfc2136]]"
	}
	return z.tinydns.Lacks(name)
}

// below reports whether there is a zone below suffix.
func (z *allZones) below(suffix records.Name) bool {
	return z.tinydns != nil && z.tinydns.Below(suffix) ||
		slices.ContainsFunc(z.rfc2136, func(r *rfc2136.Target) bool { return r.Below(suffix) })
}
