package memory

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestSlots compares slots with a plain list, through texts of all lengths.
func TestSlots(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	s, want := newSlots(100), []string(nil)
	text := func() string {
		return strings.Repeat("x", []int{0, 1, 50, 127, 128, 5000}[rng.IntN(6)]) + string(rune('a'+rng.IntN(26)))
	}
	for range 20_000 {
		switch {
		case rng.IntN(20) > 0 && len(want) > 0:
			n := rng.IntN(len(want))
			want[n] = text()
			if rng.IntN(4) == 0 {
				want[n] = ""
			}
			s.set(uint32(n), want[n])
		case len(want) < 1000:
			more := make([]string, rng.IntN(40))
			for i := range more {
				more[i] = text()
			}
			if first := s.add(more...); int(first) != len(want) {
				t.Fatalf("the first of them is %d, after %d", first, len(want))
			}
			want = append(want, more...)
		}
		if len(want) > 0 {
			if n := rng.IntN(len(want)); s.at(uint32(n)) != want[n] {
				t.Fatalf("%d is %q, not %q", n, s.at(uint32(n)), want[n])
			}
		}
	}
	there := slices.DeleteFunc(want, func(s string) bool { return s == "" })
	if got := slices.Collect(s.all); !slices.Equal(got, there) {
		t.Errorf("%d texts are there, not %d", len(got), len(there))
	}
}
