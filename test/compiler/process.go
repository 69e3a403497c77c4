package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// processTime is the CPU time that this process has taken so far.
func processTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// held is how much memory this process has, and has had at most, in KiB.
type held struct{ now, most int64 }

func memory() (h held) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return h
	}
	for line := range strings.Lines(string(status)) {
		// An error leaves zeros, which are no measurement.
		_, _ = fmt.Sscanf(line, "VmHWM: %d", &h.most)
		_, _ = fmt.Sscanf(line, "VmRSS: %d", &h.now)
	}
	return h
}
