package durable

import "os"

// syncing is a sync that runs while its caller does something else; nil: none. The caller
// has to wait for it.
type syncing chan error

func beginSync(f *os.File) syncing {
	done := make(syncing, 1)
	go func() { done <- f.Sync() }()
	return done
}

// wait waits for the sync, if there is one.
func (s *syncing) wait() error {
	if *s == nil {
		return nil
	}
	err := <-*s
	*s = nil
	return err
}
