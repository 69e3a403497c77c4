package boltstore

import (
	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"
)

// draft collects the changes of a group of transactions before any of them counts.
type draft struct {
	revision uint64
	hosts    map[records.Name]memory.Entry
	lines    []line
	mark     string // "": the old one stays
}

// line is a line of the log, and the revision of the host's line before it.
type line struct {
	records.Change
	prev uint64
}
