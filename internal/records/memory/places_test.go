package memory

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"dnsgate/internal/records"
)

// TestPlaces compares the table with a map, through names that come and go.
func TestPlaces(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	p, want := newPlaces(0), make(map[records.Name]uint32)
	slots := new(slots)
	var free []uint32
	for range 200_000 {
		name := records.Name(fmt.Sprintf("h%d.example.com", rng.IntN(3000)))
		if place, known := want[name]; known && rng.IntN(2) == 0 {
			p.remove(slots, name)
			delete(want, name)
			slots.set(place, "")
			free = append(free, place)
		} else if !known {
			place := uint32(slots.count)
			if n := len(free); n > 0 {
				place, free = free[n-1], free[:n-1]
			} else {
				slots.add("")
			}
			slots.set(place, string(byte(len(name)))+string(name))
			p.add(slots, name, place)
			want[name] = place
		}
		other := records.Name(fmt.Sprintf("h%d.example.com", rng.IntN(3000)))
		got, slot := p.place(slots, other)
		known := slot != ""
		if place, is := want[other]; is != known || is && got != place {
			t.Fatalf("%s: %d, %v, where %d, %v belong", other, got, known, place, is)
		}
	}
	if p.used != len(want) {
		t.Errorf("%d are used by %d names", p.used, len(want))
	}
	for name, place := range want {
		if got, slot := p.place(slots, name); slot == "" || got != place {
			t.Errorf("%s: %d, %q, where %d belongs", name, got, slot, place)
		}
	}
}
