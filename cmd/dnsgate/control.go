//go:build linux && !client

package main

import (
	"fmt"
	"os/user"
	"strconv"

	"dnsgate/internal/config"
	"dnsgate/internal/control"
)

// listenControl makes the socket for this machine's own programs.
func (d *daemon) listenControl() (err error) {
	accounts, err := lookUpAccounts(d.config)
	if err != nil {
		return err
	}
	d.control, err = control.Listen(d.config.ControlSocket(), len(accounts) > 0, control.Options{
		Commands: d.commands,
		Accounts: accounts,
		Refuse:   d.guard.Refuse,
		Limits: func() control.Limits {
			l := d.current().Limits
			return control.Limits{IdleTimeout: l.IdleTimeout, MaxConnection: l.MaxConnection}
		},
		Log: d.log,
	})
	return err
}

// lookUpAccounts finds the numbers of [sshd] users. Confined, this cannot be done
// again.
func lookUpAccounts(cfg *config.Config) (control.Accounts, error) {
	accounts := make(control.Accounts)
	for i, a := range cfg.SSHD.Users {
		u, err := user.Lookup(a.Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cfg.Places.Of(fmt.Sprintf("sshd.users[%d]", i)), err)
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("the account %s has the number %s: %w", a.Name, u.Uid, err)
		}
		accounts[uint32(uid)] = control.Account{Name: a.Name, Admin: a.Admin}
	}
	return accounts, nil
}
