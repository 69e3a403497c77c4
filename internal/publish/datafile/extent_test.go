package datafile

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestExtents: a version before the last one, written where it and the last one differ,
// becomes the next one.
func TestExtents(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	edited := func(text []byte) []byte {
		at := random.IntN(len(text))
		switch random.IntN(4) {
		case 0:
			return bytes.Join([][]byte{text[:at], []byte("inserted"), text[at:]}, nil)
		case 1:
			return bytes.Join([][]byte{text[:at], text[min(at+random.IntN(9), len(text)):]}, nil)
		case 2:
			return text
		}
		text = bytes.Clone(text)
		text[at]++
		return text
	}
	for range 2000 {
		before := bytes.Repeat([]byte("0123456789"), 1+random.IntN(3000))
		base := edited(before)
		next := edited(base)
		lacks, _ := differ(before, base)
		changed, differs := differ(base, next)
		if differs == bytes.Equal(base, next) {
			t.Fatalf("differs is %v", differs)
		}
		got := append(make([]byte, 0, len(before)+100), before...)
		for _, e := range lacks.and(changed) {
			got = append(got[:max(e.from, 0)], append(bytes.Clone(e.in(next)), got[min(e.from+len(e.in(next)), len(got)):]...)...)
		}
		if got = got[:min(len(got), len(next))]; !bytes.Equal(got, next) {
			t.Fatalf("of %d, %d and %d bytes, changed in %v and %v", len(before), len(base), len(next), lacks, changed)
		}
	}
	if got := everywhere.and(extent{2, 5}); len(got) != 1 || string(got[0].in([]byte("0123456789"))) != "0123456789" {
		t.Errorf("everywhere and some place is %v", got)
	}
}
