//go:build linux && !client

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"dnsgate/internal/config"
)

// reload reads keys and configuration again. It returns the keys of the configuration
// that changed and need a restart. A faulty configuration changes nothing.
func (d *daemon) reload(context.Context) (restart []string, err error) {
	cfg, err := config.Load(d.configFile)
	if err != nil {
		d.log.Error("configuration not reloaded, keeping the running one", "error", err)
		return nil, unchanged(errors.Join(err, d.reloadKeys()))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.config
	restart = d.keep(cfg)
	revoked := d.guard.Revoked.Load()
	if cfg.RevokedKeys != old.RevokedKeys {
		if revoked, err = d.openRevoked(cfg.RevokedKeys); err != nil {
			d.log.Error("revoked_keys not reloaded, keeping the running configuration", "error", err)
			return nil, unchanged(err)
		}
	}
	if err := d.republish(cfg); err != nil {
		d.closeRevoked(revoked)
		d.log.Error("publishers not reloaded, keeping the running ones", "error", err)
		return nil, unchanged(err)
	}
	d.useRevoked(revoked)
	d.commands.Rates.Set(cfg.Limits.UpdatesPerMinute)
	d.gate.SetLimits(gateLimits(cfg.Limits))
	d.adopt(cfg, restart)
	if err := d.reloadKeys(); err != nil {
		return nil, fmt.Errorf("the configuration is reloaded, but the keys stay as they were: %w", err)
	}
	return restart, nil
}

// republish makes the publishers follow cfg, or keeps them as they were.
func (d *daemon) republish(cfg *config.Config) error {
	d.forbid(cfg)
	err := d.publishers.replace(cfg)
	if err != nil {
		d.forbid(d.config)
	}
	if d.confined != nil && errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w; if that is not the file's mode: other folders than before need a restart, or confine = false", err)
	}
	return err
}

// adopt makes cfg the running configuration. All of it is applied but the keys in
// restart.
func (d *daemon) adopt(cfg *config.Config, restart []string) {
	d.config = cfg
	d.log.Info("configuration loaded", "file", d.configFile)
	if len(restart) > 0 {
		d.log.Warn("changed, but only a restart applies it", "keys", strings.Join(restart, ", "))
	}
}

func unchanged(err error) error { return fmt.Errorf("not reloaded, all stays as it was: %w", err) }

// keep puts the running values back into cfg where only a restart can change them, and
// returns the keys of those values.
func (d *daemon) keep(cfg *config.Config) (undone []string) {
	old := d.config
	undone = append(undone, keepKey("listen", &cfg.Listen, old.Listen)...)
	undone = append(undone, keepKey("host_keys", &cfg.HostKeys, old.HostKeys)...)
	undone = append(undone, keepKey("authorized_keys", &cfg.AuthorizedKeys, old.AuthorizedKeys)...)
	undone = append(undone, keepKey("state", &cfg.State, old.State)...)
	undone = append(undone, keepKey("store", &cfg.Store, old.Store)...)
	undone = append(undone, keepKey("etcd", &cfg.Etcd, old.Etcd)...)
	undone = append(undone, keepKey("control", &cfg.Control, old.Control)...)
	undone = append(undone, keepKey("sshd.users", &cfg.SSHD.Users, old.SSHD.Users)...)
	undone = append(undone, keepKey("post_quantum_only", &cfg.PostQuantumOnly, old.PostQuantumOnly)...)
	undone = append(undone, keepKey("confine", &cfg.Confine, old.Confine)...)
	undone = append(undone, keepKey("follow", &cfg.Follow, old.Follow)...)
	outside := d.outside(cfg)
	if slices.ContainsFunc(outside, func(key string) bool { return strings.HasPrefix(key, "tinydns.") }) {
		undone = append(undone, changedTinyDNS(old.TinyDNS, cfg.TinyDNS)...)
		cfg.TinyDNS = old.TinyDNS
	}
	if slices.Contains(outside, "revoked_keys") {
		undone = append(undone, keepKey("revoked_keys", &cfg.RevokedKeys, old.RevokedKeys)...)
	}
	if slices.Contains(outside, "metrics_file") {
		undone = append(undone, keepKey("metrics_file", &cfg.MetricsFile, old.MetricsFile)...)
	}
	if slices.Contains(outside, "rfc2136") {
		undone = append(undone, "rfc2136")
		cfg.RFC2136 = old.RFC2136
	}
	return undone
}

func keepKey[T any](key string, value *T, running T) (undone []string) {
	if !reflect.DeepEqual(*value, running) {
		*value, undone = running, []string{key}
	}
	return undone
}

// outside returns the keys of cfg that name places which the confined process cannot
// reach. A missing root is another fault; the publishers report it.
func (d *daemon) outside(cfg *config.Config) (keys []string) {
	if d.confined == nil {
		return nil
	}
	missing := cfg.TinyDNS != nil && !isFolder(cfg.TinyDNS.Root)
	for _, u := range uses(d.configFile, cfg) {
		if missing && strings.HasPrefix(u.key, "tinydns.") {
			continue
		}
		if !d.confined.Allows(u.rules) && !slices.Contains(keys, u.key) {
			keys = append(keys, u.key)
		}
	}
	return keys
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// changedTinyDNS returns the keys of the table that differ. A reload applies all of
// them or none, because they belong together.
func changedTinyDNS(old, to *config.TinyDNS) (keys []string) {
	if old == nil || to == nil {
		return []string{"tinydns"}
	}
	before, after := reflect.ValueOf(*old), reflect.ValueOf(*to)
	for i := range before.NumField() {
		if !reflect.DeepEqual(before.Field(i).Interface(), after.Field(i).Interface()) {
			keys = append(keys, "tinydns."+strings.ToLower(before.Type().Field(i).Name)) // each is one word
		}
	}
	return keys
}
