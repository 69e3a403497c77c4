//go:build linux

package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// allowance is about how far the heap may grow before garbage is collected, in
// bytes, and the percentages that it is held to. Go's rule is 100% of what is
// live: a store of a million hosts would take twice the memory that it needs,
// and a small gateway would collect after every few updates.
const (
	allowance    = 16 << 20
	leastPercent = 15
	mostPercent  = 200
)

// collectInTime sets how often garbage is collected, by what is live, until
// ctx ends. What was needed only for a moment, such as for the first publication
// or for many logins, is given back once no more is being used up. An operator's
// GOGC stays.
func collectInTime(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	heap := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},                // as of the last collection
		{Name: "/memory/classes/heap/objects:bytes"}, // with the garbage since
		{Name: "/memory/classes/heap/free:bytes"},    // in neither, and not given back
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	every := time.NewTicker(time.Second)
	defer every.Stop()
	percent, cycles := 0, uint64(0)
	for {
		metrics.Read(heap)
		live, held := heap[0].Value.Uint64(), heap[1].Value.Uint64()+heap[2].Value.Uint64()
		if p := collectAt(live); p != percent {
			debug.SetGCPercent(p)
			percent = p
		}
		quiet := heap[3].Value.Uint64() == cycles
		cycles = heap[3].Value.Uint64()
		if quiet && held > live+allowance/2 {
			debug.FreeOSMemory()
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

// collectAt is the percentage by which a heap of so many live bytes may grow.
func collectAt(live uint64) int {
	return int(min(max(allowance*100/max(live, 1), leastPercent), mostPercent))
}
