// Package faults holds the tests that take away what the gateway stands on:
// power, disks, folders, fsync, its own processes. Each runs the real binary,
// and real SSH clients, and then looks for one thing: that what was answered
// good or nochg is still there, and that what could not be kept was refused.
package faults
