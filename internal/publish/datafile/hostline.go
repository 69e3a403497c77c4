package datafile

import (
	"encoding/hex"

	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// hostLine is a line of the operator's that holds an address or a text.
type hostLine struct {
	tinydns.HostLine
	number   int // from 1
	host     *rewritten
	wildcard bool // a line of "*.name" of the host name
	group    int  // of host
	keeps    int  // which of the host's values; -1: none that it has
}

// place is where a line stands in a file, without the newline. Places are kept apart from
// the lines, because one change moves all lines behind it: in a third of the time so.
type place struct{ start, end int }

func (p place) in(data []byte) []byte { return data[p.start:p.end] }

// recordType is the type of the record that the line holds.
func (l *hostLine) recordType() records.Type { return records.Type(l.Type) }

// has reports whether r is in the line.
func (l *hostLine) has(line []byte, r records.Record) bool {
	if l.recordType() == records.TXT {
		return string(l.Value.In(line)) == r.Text
	}
	return l.Addr == r.Addr
}

// appendOn appends the line, turned on, with r in it.
func appendOn(dst []byte, l *tinydns.HostLine, line []byte, r records.Record) []byte {
	dst = append(dst, l.Kind)
	dst = append(dst, line[l.Name.Start:l.Value.Start]...)
	switch l.Kind {
	case '+', '=':
		dst = r.Addr.AppendTo(dst)
	case '3', '6':
		ip := r.Addr.As16()
		dst = hex.AppendEncode(dst, ip[:])
	case ':':
		for _, c := range r.Addr.As16() {
			dst = append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		}
	case '\'':
		dst = append(dst, r.Text...) // no character of it has a meaning
	}
	return append(dst, line[l.Value.End:]...)
}

// appendOff appends the line turned off.
func appendOff(dst []byte, l *tinydns.HostLine, line []byte) []byte {
	dst = append(dst, '-')
	if l.Kind != '+' {
		dst = append(dst, l.Kind)
	}
	return append(dst, line[l.Name.Start:]...)
}
