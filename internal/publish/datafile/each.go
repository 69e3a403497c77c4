package datafile

import (
	"sync"
	"sync/atomic"
)

// each calls do with 0 to n-1, from up to workers goroutines, and returns when
// all calls have.
func each(n, workers int, do func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(n, workers) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}
