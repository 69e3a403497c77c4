package datafile

import (
	"slices"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// ownersOf are hosts for a Builder. A line has the end of its record (time to die) only
// if the TTL is 0: tinydns then counts the TTL down by itself. Otherwise the store
// removes the record in time.
func ownersOf(hosts []records.Host) []tinydns.Owner {
	total := 0
	for _, h := range hosts {
		total += len(h.Records)
	}
	owners := make([]tinydns.Owner, len(hosts))
	values := make([]tinydns.Value, 0, total) // shared: a million small slices cost more than what is in them
	for i, h := range hosts {
		first := len(values)
		for _, r := range h.Records {
			values = append(values, tinydns.Value{Addr: r.Addr, Text: r.Text, Until: r.Expires})
		}
		owners[i] = tinydns.Owner{Name: string(h.Name), TTL: h.TTL, Values: values[first:len(values):len(values)]}
	}
	return owners
}

// appendLines appends the lines of hosts.
func appendLines(dst []byte, dialect tinydns.Dialect, hosts []records.Host) []byte {
	for _, o := range ownersOf(hosts) {
		dst = o.AppendLines(dst, dialect)
	}
	return dst
}

// ownersAtOnce is the number of hosts that become owners at once. Those of a million
// would take 150 MB.
const ownersAtOnce = 1 << 14

// applyAll makes lines those of hosts, and tells how many that were.
func applyAll(lines *tinydns.Builder, hosts publish.Pieces) (n int, err error) {
	for piece, err := range hosts {
		if err != nil {
			return n, err
		}
		n += len(piece)
		for some := range slices.Chunk(piece, ownersAtOnce) {
			if err := lines.Apply(ownersOf(some)); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}
