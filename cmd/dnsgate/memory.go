//go:build linux && !client

package main

import (
	"context"
	"math"
	"os"
	"path"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The heap may grow by an allowance before the garbage collector runs: 64 MiB, or a
// sixteenth of the memory if that is less. Go's default is 100% of the live heap: a
// store of a million hosts would take twice the memory that it needs, and a small
// gateway would collect after every few updates.
const (
	mostAllowance = 64 << 20
	memoryShare   = 16
	leastPercent  = 15
	mostPercent   = 800
)

// collectInTime adapts the garbage collector's percentage to the live heap until ctx
// ends. Memory that was needed for a moment only, for the first publication or for many
// logins, goes back to the system once the gateway is at rest. An operator's GOGC is
// respected.
func collectInTime(ctx context.Context, allowance uint64) {
	if os.Getenv("GOGC") != "" {
		return
	}
	heap := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},                // as of the last collection
		{Name: "/memory/classes/heap/objects:bytes"}, // with the garbage since
		{Name: "/memory/classes/heap/free:bytes"},    // in neither, and not given back
		{Name: "/gc/heap/allocs:bytes"},              // since the start
	}
	every := time.NewTicker(time.Second / 10)
	defer every.Stop()
	percent, made := 0, uint64(0)
	for looks := 0; ; looks++ {
		metrics.Read(heap)
		live, held := heap[0].Value.Uint64(), heap[1].Value.Uint64()+heap[2].Value.Uint64()
		room := allowance
		if looks < startLooks {
			room /= 2
		}
		if p := collectAt(live, room); p != percent {
			debug.SetGCPercent(p)
			percent = p
		}
		if looks == startLooks {
			every.Reset(time.Second)
		}
		quiet := looks > startLooks && heap[3].Value.Uint64() < made+quietAllocation
		made = heap[3].Value.Uint64()
		if quiet && held > live+keptGarbage {
			debug.FreeOSMemory()
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

// A gateway is at rest if it allocates less than this in a second, in bytes. It may
// keep this much garbage then.
const (
	quietAllocation = 1 << 20
	keptGarbage     = 8 << 20
)

// startLooks is how often the heap is looked at ten times a second, and may grow by half
// the allowance only, because it grows from nothing to all hosts. Looked at once a second,
// with all of it, the process took 1.6 times the memory that it then needs, with a million
// hosts, and not 1.3 times.
const startLooks = 20

// collectAt is the percentage by which a heap with this many live bytes may grow.
func collectAt(live, allowance uint64) int {
	return int(min(max(allowance*100/max(live, 1), leastPercent), mostPercent))
}

// limitMemory tells the runtime how much memory the process may use, and returns the
// heap's allowance. An operator's GOMEMLIMIT is respected.
func limitMemory() (allowance uint64) {
	most := uint64(math.MaxInt64)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		most = uint64(info.Totalram) * uint64(info.Unit)
	}
	if limit := cgroupMemory("/proc/self/cgroup", "/sys/fs/cgroup"); limit < most {
		most = limit
		if os.Getenv("GOMEMLIMIT") == "" {
			debug.SetMemoryLimit(int64(limit / 10 * 9)) // the rest is the kernel's and the stacks'
		}
	}
	return min(mostAllowance, most/memoryShare)
}

// cgroupMemory is the least memory.max, in bytes, of the process's control
// group and of those above it (cgroups(7), version 2), or the largest number.
func cgroupMemory(self, mount string) uint64 {
	limit := uint64(math.MaxInt64)
	lines, _ := os.ReadFile(self)
	for line := range strings.Lines(string(lines)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for ; ok && group != "/" && group != "."; group = path.Dir(group) {
			text, _ := os.ReadFile(path.Join(mount, group, "memory.max"))
			if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 63); err == nil { // not "max"
				limit = min(limit, n)
			}
		}
	}
	return limit
}
