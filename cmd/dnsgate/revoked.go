//go:build linux && !client

package main

import (
	"errors"
	"time"

	"dnsgate/internal/authkeys"
)

// openRevoked opens revoked_keys. Without a path there is no such file.
func (d *daemon) openRevoked(path string) (*authkeys.Revoked, error) {
	if path == "" {
		return nil, nil
	}
	return authkeys.OpenRevoked(path, d.log)
}

// useRevoked makes revoked refuse keys from now on, and closes the one before it.
func (d *daemon) useRevoked(revoked *authkeys.Revoked) {
	if before := d.guard.Revoked.Swap(revoked); before != nil && before != revoked {
		before.Close()
	}
}

// closeRevoked closes revoked, unless it is in use.
func (d *daemon) closeRevoked(revoked *authkeys.Revoked) {
	if revoked != nil && revoked != d.guard.Revoked.Load() {
		revoked.Close()
	}
}

// reloadKeys reads authorized_keys and revoked_keys again.
func (d *daemon) reloadKeys() error {
	err := d.keys.Reload()
	if revoked := d.guard.Revoked.Load(); revoked != nil {
		err = errors.Join(err, revoked.Reload())
	}
	return err
}

// keysFailure says which of the files of keys cannot be read, and since when.
func (d *daemon) keysFailure() (why string, since time.Time) {
	if why, since = d.keys.Failure(); why != "" {
		return why, since
	}
	if revoked := d.guard.Revoked.Load(); revoked != nil {
		return revoked.Failure()
	}
	return "", time.Time{}
}
