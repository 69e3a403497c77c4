//go:build linux && !client

package main

import (
	"slices"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/publish"
	"dnsgate/internal/publish/datafile"
	"dnsgate/internal/publish/rfc2136"
	"dnsgate/internal/records"
)

// allZones are those that a gateway's name servers have.
type allZones struct {
	rfc2136 []*rfc2136.Target
	tinydns *datafile.Zones // nil: there is no tinydns
}

// unserved is a *publish.UnservedError of the names that g may update and no name server
// serves.
func (z *allZones) unserved(g authkeys.Grant) error {
	var unserved publish.UnservedError
	note := func(name records.Name, why string) {
		if why != "" {
			unserved.Add(name, why)
		}
	}
	for _, h := range g.Hosts {
		note(h, z.lacks(h))
	}
	for _, s := range g.Suffixes {
		if !z.below(s) {
			note("."+s, z.lacks("any."+s))
		}
	}
	return unserved.OrNil()
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
