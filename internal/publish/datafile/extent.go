package datafile

import (
	"bytes"
	"math"
)

// extent is where two versions of a file differ: from here on up to there.
type extent struct{ from, to int }

// everywhere is the extent of versions of which nothing is known.
var everywhere = extent{0, math.MaxInt}

// differ finds where next differs from base: up to the end if it is longer or shorter.
func differ(base, next []byte) (e extent, differs bool) {
	e.from = commonStart(base, next)
	if len(base) != len(next) {
		return extent{e.from, len(next)}, true
	}
	e.to = len(next) - commonEnd(base[e.from:], next[e.from:])
	return e, e.from < e.to
}

// compared is the number of bytes that are compared at once, in a tenth of the time that
// one after the other takes.
const compared = 4 << 10

// commonStart is the number of bytes that are the same from the start on.
func commonStart(a, b []byte) (n int) {
	for n+compared <= min(len(a), len(b)) && bytes.Equal(a[n:n+compared], b[n:n+compared]) {
		n += compared
	}
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// commonEnd is the number of bytes that are the same before the end; a and b are as long.
func commonEnd(a, b []byte) (n int) {
	end := len(a)
	for end >= compared && bytes.Equal(a[end-compared:end], b[end-compared:end]) {
		end -= compared
	}
	for end > 0 && a[end-1] == b[end-1] {
		end--
	}
	return len(a) - end
}

// in is the part of content in e.
func (e extent) in(content []byte) []byte {
	return content[min(e.from, len(content)):min(e.to, len(content))]
}

// and returns the extents of e and o; one if they meet.
func (e extent) and(o extent) []extent {
	if max(e.from, o.from) > min(e.to, o.to) {
		return []extent{e, o}
	}
	return []extent{{min(e.from, o.from), max(e.to, o.to)}}
}
