package main

import (
	"errors"
	"fmt"
	"os"

	"dnsgate/internal/sysexits"
)

// exit is an error with the process's exit status. Without err, everything has been
// said already.
type exit struct {
	status int
	err    error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// report prints err, unless that is done, and returns the process's status.
func report(err error) int {
	if err == nil {
		return 0
	}
	e := &exit{sysexits.Software, err}
	errors.As(err, &e)
	if e.err != nil {
		fmt.Fprintf(os.Stderr, "dnsgate: %v\n", e.err)
	}
	return e.status
}
