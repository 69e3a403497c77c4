//go:build linux

package main

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"dnsgate/internal/config"
	"dnsgate/internal/confine"
)

// confinement is what serve still needs once it is running. A reload can only
// name files in these folders, and servers on these ports; for others the
// gateway has to be restarted.
func confinement(configFile string, cfg *config.Config) confine.Rules {
	r := confine.Rules{
		Read:  []string{folderOf(configFile), filepath.Dir(cfg.AuthorizedKeys), folderOf(cfg.AuthorizedKeys)},
		Write: []string{cfg.State},
	}
	if t := cfg.TinyDNS; t != nil {
		r.Write = append(r.Write, t.Root, folderOf(below(t.Root, t.Path)))
		for _, source := range t.Sources {
			matches, _ := filepath.Glob(below(t.Root, source)) // its pattern is checked by config
			for _, file := range append(matches, below(t.Root, source)) {
				r.Read = append(r.Read, folderOf(file))
			}
		}
		r.Commands = t.Rebuild != nil
		if t.Verify != "" {
			allowServer(&r, t.Verify)
		}
	}
	for _, z := range cfg.RFC2136 {
		allowServer(&r, z.Server)
		if z.TSIGSecret != "" {
			r.Read = append(r.Read, folderOf(z.TSIGSecret))
		}
	}
	slices.Sort(r.Read)
	r.Read = slices.Compact(r.Read)
	return r
}

// below is path, which is relative to folder unless absolute.
func below(folder, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}

// folderOf is the folder that is path, that path's file really is in, or that
// holds all files of a pattern.
func folderOf(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	for {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return path
		}
		path = filepath.Dir(path)
	}
}

// allowServer allows the server's port over TCP, and its name to be looked up.
func allowServer(r *confine.Rules, server string) {
	host, port, _ := net.SplitHostPort(server) // checked by config
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		r.Connect = append(r.Connect, uint16(n))
	}
	if _, err := netip.ParseAddr(host); err != nil {
		r.Resolve = true
	}
}
