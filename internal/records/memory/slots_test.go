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
			for _, text := range more {
				if number := s.add(text); int(number) != len(want) {
					t.Fatalf("number %d is given out after %d", number, len(want)-1)
				}
				want = append(want, text)
			}
		}
		if len(want) > 0 {
			if n := rng.IntN(len(want)); s.at(uint32(n)) != want[n] {
				t.Fatalf("%d is %q, not %q", n, s.at(uint32(n)), want[n])
			}
		}
	}
	for number, text := range s.all {
		if text == "" || text != want[number] {
			t.Errorf("%d is %q, not %q", number, text, want[number])
		}
		want[number] = ""
	}
	if left := slices.IndexFunc(want, func(s string) bool { return s != "" }); left >= 0 {
		t.Errorf("%d is missing", left)
	}
}
