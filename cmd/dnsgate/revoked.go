//go:build linux && !client

package main

import (
	"errors"
	"time"

	"dnsgate/internal/authkeys"
)

// openRevoked opens revoked_keys; there is none where path is empty.
func (d *daemon) openRevoked(path string) (*authkeys.Revoked, error) {
	if path == "" {
		return nil, nil
	}
	return authkeys.OpenRevoked(path, d.log)
}

// useRevoked has revoked refuse keys from now on, and closes what did before.
func (d *daemon) useRevoked(revoked *authkeys.Revoked) {
	if before := d.guard.Revoked.Swap(revoked); before != nil && before != revoked {
		before.Close()
	}
}

// closeRevoked closes revoked, which came too late, unless it is in use.
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
