package rig

import (
	"fmt"
	"os"
	"strings"
)

// Memory is a figure in KiB that the kernel has of a process: VmRSS, its memory now, or
// VmHWM, the most so far (proc_pid_status(5)).
func Memory(pid int, figure string) (kib int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), figure+":")
	if _, err = fmt.Sscan(rest, &kib); err != nil {
		return 0, fmt.Errorf("reading the %s of process %d: %w", figure, pid, err)
	}
	return kib, nil
}
