package tinydns

import "math/bits"

// eightAddresses keeps a random choice of at most eight addresses. All get
// the time to live of the last.
type eightAddresses struct {
	ip    [8][4]byte
	count uint32 // of all that were added
	ttl   uint32
}

func (e *eightAddresses) add(ip [4]byte, ttl uint32, r *random) {
	e.ttl = ttl
	if i := r.below(e.count + 1); i < 8 {
		if i < e.count && e.count < 8 {
			e.ip[e.count] = e.ip[i]
		}
		e.ip[i] = ip
	}
	if e.count < 1000000 {
		e.count++
	}
}

func (e *eightAddresses) kept() [][4]byte { return e.ip[:min(e.count, 8)] }

// random makes the numbers that tinydns-get orders addresses by: those of
// D. J. Bernstein's generator SURF without a seed, so the same in each run.
type random struct {
	counter uint32
	unused  []uint32 // taken from the end
}

// below returns a number less than n.
func (r *random) below(n uint32) uint32 {
	if len(r.unused) == 0 {
		r.counter++
		r.unused = surf(r.counter)
	}
	last := len(r.unused) - 1
	x := r.unused[last]
	r.unused = r.unused[:last]
	return x % n
}

// surf is SURF of an input that is all zero but for its first word, with a
// seed that is all zero.
func surf(in uint32) []uint32 {
	rotations := [4]int{5, 7, 9, 13}
	out := make([]uint32, 8)
	state := [12]uint32{in}
	var x, sum uint32
	for range 2 {
		for range 16 {
			sum += 0x9e3779b9
			for i := range state {
				state[i] += (x + sum) ^ bits.RotateLeft32(x, rotations[i%4])
				x = state[i]
			}
		}
		for i := range out {
			out[i] ^= state[i+4]
		}
	}
	return out
}
