package datafile

import (
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// lineForm is the form of data lines.
type lineForm struct {
	dialect tinydns.Dialect
}

// append appends the lines of h's records. A line has the end of its record (time to
// die) only if the TTL is 0: tinydns then counts the TTL down by itself. Otherwise the
// store removes the record in time.
func (f lineForm) append(dst []byte, h records.Host) []byte {
	for _, r := range h.Records {
		if r.Type() == records.TXT {
			dst = tinydns.AppendText(dst, string(h.Name), r.Text, h.TTL, r.Expires)
			continue
		}
		first := len(dst)
		dst = tinydns.AppendAddress(dst, f.dialect, string(h.Name), r.Addr, h.TTL, r.Expires)
		if dst[first] == '3' && !h.Name.IsWildcard() {
			dst[first] = '6' // the PTR record as well, as "=" has it
		}
	}
	return dst
}

// owners are the lines of hosts, for a Builder.
func (f lineForm) owners(hosts []records.Host) []tinydns.Owner {
	owners := make([]tinydns.Owner, len(hosts))
	var all []byte // shared: a million small slices cost more than their bytes
	for i, h := range hosts {
		if cap(all)-len(all) < 4096 {
			all = make([]byte, 0, min(1<<20, 4096+256*(len(hosts)-i)))
		}
		first := len(all)
		all = f.append(all, h)
		owners[i] = tinydns.Owner{Name: string(h.Name), Lines: all[first:len(all):len(all)]}
	}
	return owners
}
