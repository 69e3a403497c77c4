package boltstore

import "dnsgate/internal/records"

// draft collects what a group of transactions changes, before any of it counts.
type draft struct {
	revision uint64
	hosts    map[records.Name]staged
	lines    []line
}

// staged is a host as a group leaves it.
type staged struct {
	host   records.Host
	logged uint64
	value  string // encoded host
}

// line is a line of the log, and the revision of the host's line before it.
type line struct {
	records.Change
	prev uint64
}
