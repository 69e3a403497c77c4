package main

import "testing"

// The heap may always grow by about as much, but for the two bounds.
func TestCollectAt(t *testing.T) {
	for live, want := range map[uint64]int{
		0: mostPercent, 1 << 20: mostPercent, 8 << 20: 200,
		32 << 20: 50, 64 << 20: 25, 300 << 20: leastPercent, 1 << 40: leastPercent,
	} {
		if got := collectAt(live); got != want {
			t.Errorf("%d MiB live: %d%%, want %d%%", live>>20, got, want)
		}
	}
}
