package main

import (
	"os"
	"syscall"
	"unsafe"
)

// wallOff is what the wall clock is off by, in seconds: the 8 bytes of a file
// that a test writes to. The monotonic clock goes on evenly.
var wallOff *int64

// jumpedClockAddr is the address of jumpedClock, which is clock_gettime(2) with
// the wall clock off.
var jumpedClockAddr uintptr

// vdsoClockGettime is where Go asks for both clocks.
//
//go:linkname vdsoClockGettime runtime.vdsoClockgettimeSym
var vdsoClockGettime uintptr

func init() {
	file, err := os.Open(os.Getenv("DNSGATE_TEST_WALL_OFF"))
	if err != nil {
		panic(err)
	}
	page, err := syscall.Mmap(int(file.Fd()), 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	file.Close()
	wallOff = (*int64)(unsafe.Pointer(&page[0]))
	vdsoClockGettime = jumpedClockAddr
}
