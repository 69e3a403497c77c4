package memory

// Adopt makes the hosts of other those of x, which has none yet, and brings x to
// revision. Nobody may use other afterwards.
func (x *Index) Adopt(other *Index, revision uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.places, x.slots, x.free = other.places, other.slots, other.free
	x.live, x.made, x.bare = other.live, other.made, other.bare
	x.recent = recent{from: revision}
	x.advance(revision)
}
