//go:build race

package gate_test

// raceEnabled tells that memory and time are not what they usually are.
const raceEnabled = true
