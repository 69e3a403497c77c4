//go:build linux && !client

package main

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"dnsgate/internal/config"
	"dnsgate/internal/confine"
)

// confinement is what serve still needs once it is running. A reload can only
// name files in these folders, and servers on these ports; for others the
// gateway has to be restarted.
func confinement(configFile string, cfg *config.Config) (r confine.Rules) {
	for _, n := range uses(configFile, cfg) {
		r.Read = append(r.Read, n.rules.Read...)
		r.Write = append(r.Write, n.rules.Write...)
		r.Connect = append(r.Connect, n.rules.Connect...)
		r.Resolve = r.Resolve || n.rules.Resolve
		r.Commands = r.Commands || n.rules.Commands
	}
	slices.Sort(r.Read)
	r.Read = slices.Compact(r.Read)
	return r
}

// use is what serve needs because of one key of the configuration.
type use struct {
	key   string
	rules confine.Rules
}

func uses(configFile string, cfg *config.Config) []use {
	all := []use{
		{"", confine.Rules{Read: []string{folderOf(configFile)}}},
		{"authorized_keys", confine.Rules{Read: []string{filepath.Dir(cfg.AuthorizedKeys), folderOf(cfg.AuthorizedKeys)}}},
		{"state", confine.Rules{Write: []string{cfg.State}}},
		{"control", confine.Rules{Write: []string{filepath.Dir(cfg.ControlSocket())}}}, // the socket is removed in the end
	}
	if f := cfg.Follow; f != nil {
		all[1] = use{"follow", confine.Rules{Read: []string{folderOf(f.Key), folderOf(f.KnownHosts)}}}
		for _, gateway := range f.Gateways {
			all = append(all, use{"follow", server(gateway)})
		}
	}
	if cfg.RevokedKeys != "" {
		all = append(all, use{"revoked_keys", confine.Rules{Read: []string{filepath.Dir(cfg.RevokedKeys), folderOf(cfg.RevokedKeys)}}})
	}
	if cfg.MetricsFile != "" {
		all = append(all, use{"metrics_file", confine.Rules{Write: []string{folderOf(cfg.MetricsFile)}}})
	}
	if t := cfg.TinyDNS; t != nil {
		all = append(all,
			use{"tinydns.root", confine.Rules{Write: []string{t.Root}}},
			use{"tinydns.path", confine.Rules{Write: []string{folderOf(below(t.Root, t.Path))}}},
			use{"tinydns.sources", confine.Rules{Read: foldersOfSources(t)}},
			use{"tinydns.rebuild", confine.Rules{Commands: t.Rebuild != nil}})
		if len(t.After) > 0 {
			all = append(all, use{"tinydns.after", confine.Rules{Commands: true}})
		}
		for _, secondary := range t.Notify {
			all = append(all, use{"tinydns.notify", server(secondary)})
		}
		if t.Verify != "" {
			all = append(all, use{"tinydns.verify", server(t.Verify)})
		}
	}
	if e := cfg.Etcd; cfg.Store == config.StoreEtcd {
		for _, endpoint := range e.Endpoints {
			_, address, _ := strings.Cut(endpoint, "://")
			all = append(all, use{"etcd", server(address)})
		}
		for _, file := range []string{e.CA, e.Cert, e.Key} {
			if file != "" {
				all = append(all, use{"etcd", confine.Rules{Read: []string{folderOf(file)}}})
			}
		}
	}
	for _, z := range cfg.RFC2136 {
		all = append(all, use{"rfc2136", server(z.Server)})
		if z.TSIGSecret != "" {
			all = append(all, use{"rfc2136", confine.Rules{Read: []string{folderOf(z.TSIGSecret)}}})
		}
	}
	return all
}

func foldersOfSources(t *config.TinyDNS) (folders []string) {
	for _, source := range t.Sources {
		matches, _ := filepath.Glob(below(t.Root, source)) // its pattern is checked by config
		for _, file := range append(matches, below(t.Root, source)) {
			folders = append(folders, folderOf(file))
		}
	}
	return folders
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

// server is the server's port over TCP, and its name to be looked up.
func server(address string) (r confine.Rules) {
	host, port, _ := net.SplitHostPort(address) // checked by config
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		r.Connect = []uint16{uint16(n)}
	}
	_, err := netip.ParseAddr(host)
	r.Resolve = err != nil
	return r
}
