//go:build linux

package main

import (
	"log/slog"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// timerSlack is how late, in nanoseconds, the kernel may wake a thread that
// sleeps for a time (prctl(2), PR_SET_TIMERSLACK). Go's monitor thread naps for
// 20 us at a time while others wait for the disk, and at the kernel's 50 us that
// costs a fifth of the CPU time of an update. Nothing in the gateway is timed
// to less than this.
const timerSlack = 4_000_000

// relaxed is set in the environment once the slack is.
const relaxed = "DNSGATE_TIMERS_RELAXED"

// relaxTimers sets the timer slack of all threads. A thread can set its own
// only, and Go's monitor has begun before any code of ours; but the slack stays
// across execve(2), so the program begins once more. To be called before
// anything else is done. Where it cannot be, all works the same.
func relaxTimers(log *slog.Logger) {
	if os.Getenv(relaxed) != "" {
		os.Unsetenv(relaxed)
		return
	}
	runtime.LockOSThread() // the thread that execs is the one that stays
	defer runtime.UnlockOSThread()
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || slack >= timerSlack {
		return // or the operator has set more
	}
	self, err := os.Executable()
	if err == nil {
		err = unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlack, 0, 0, 0)
	}
	if err == nil {
		err = unix.Exec(self, os.Args, append(os.Environ(), relaxed+"=1"))
	}
	log.Debug("timers not relaxed", "err", err)
}
