package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dnsgate/internal/durable"
)

// maxFile is the length, in bytes, of the longest configuration read.
const maxFile = 1 << 20

// Load reads the configuration file at path. Relative paths in it are relative
// to its folder. When something is wrong with its content, the error is Problems.
func Load(path string) (*Config, error) {
	content, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	c, err := parse(path, content)
	if err != nil {
		return nil, err
	}
	c.resolve(folder)
	return c, nil
}

func read(path string) ([]byte, error) {
	f, err := durable.OpenRegular(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("%s: longer than %d bytes", path, maxFile)
	}
	return content, nil
}

// parse reads a configuration whose paths stay as they are written.
func parse(file string, content []byte) (*Config, error) {
	doc, err := parseDocument(file, content)
	if err != nil {
		return nil, err
	}
	c := defaults()
	c.read(&table{doc: doc, values: doc.values})
	if len(doc.faults) > 0 {
		return nil, doc.sortedFaults()
	}
	c.Places = Places{file, doc.lines}
	return c, nil
}

func (c *Config) read(t *table) {
	t.list("listen", &c.Listen, distinct(checkListen))
	t.list("host_keys", &c.HostKeys, distinct(checkPath))
	if len(c.HostKeys) == 0 {
		t.fault("host_keys", "names no key; dnsgate init makes one")
	}
	t.text("authorized_keys", &c.AuthorizedKeys, checkPath)
	t.text("state", &c.State, checkPath)
	choice(t, "store", &c.Store, StoreBolt, StoreEtcd)
	t.text("control", &c.Control, optional(checkPath))
	ttl := int(c.TTL)
	t.number("ttl", &ttl, 0, 1<<31-1) // RFC 2181 section 8
	c.TTL = uint32(ttl)

	t.text("revoked_keys", &c.RevokedKeys, optional(checkPath))
	t.text("metrics_file", &c.MetricsFile, optional(checkPath))
	t.flag("post_quantum_only", &c.PostQuantumOnly)
	t.flag("confine", &c.Confine)
	if limits := t.table("limits"); limits != nil {
		c.Limits.read(limits)
	}
	if tinydns := t.table("tinydns"); tinydns != nil {
		c.TinyDNS = defaultTinyDNS()
		c.TinyDNS.read(tinydns)
	}
	for _, zone := range t.tables("rfc2136") {
		c.readZone(zone)
	}
	if sshd := t.table("sshd"); sshd != nil {
		c.SSHD.read(sshd)
	}
	c.readEtcd(t)
	if followers := t.table("followers"); followers != nil {
		followers.number("require", &c.Followers.Require, 0, 100)
		followers.duration("timeout", &c.Followers.Timeout, 100*time.Millisecond, time.Minute)
		if c.Followers.Require > 0 && c.Store == StoreEtcd {
			followers.fault("require", "needs store = \"bolt\": each follower follows one of several gateways")
		}
		followers.unknown()
	}
	if follow := t.table("follow"); follow != nil {
		c.Follow = &Follow{Key: "id_ed25519", KnownHosts: "known_hosts"}
		c.Follow.read(follow)
	}
	t.unknown()
}

func (f *Follow) read(t *table) {
	t.list("gateway", &f.Gateways, distinct(checkServer))
	t.list("names", &f.Names, distinct(checkNames))
	t.text("key", &f.Key, checkPath)
	t.text("known_hosts", &f.KnownHosts, checkPath)
	for _, key := range []string{"gateway", "names"} {
		if !t.has(key) {
			t.fault("", "needs a %s", key)
		}
	}
	t.unknown()
}

func (l *Limits) read(t *table) {
	t.duration("login_grace_time", &l.LoginGraceTime, time.Second, time.Hour)
	t.number("max_startups", &l.MaxStartups, 1, 100_000)
	t.number("per_source_startups", &l.PerSourceStartups, 1, 100_000)
	t.number("max_auth_tries", &l.MaxAuthTries, 1, 100)
	t.number("max_sessions", &l.MaxSessions, 1, 1000)
	t.duration("idle_timeout", &l.IdleTimeout, time.Second, 24*time.Hour)
	t.duration("max_connection", &l.MaxConnection, time.Second, 30*24*time.Hour)
	t.number("max_logins", &l.MaxLogins, 1, 1_000_000)
	t.number("max_logins_per_key", &l.MaxLoginsPerKey, 1, 1_000_000)
	t.number("updates_per_minute", &l.UpdatesPerMinute, 1, 1_000_000)
	t.number("max_hosts", &l.MaxHosts, 1, 100_000_000)
	t.number("max_hosts_per_key", &l.MaxHostsPerKey, 1, 100_000_000)
	t.flag("penalties", &l.Penalties)
	t.networks("penalty_exempt", &l.PenaltyExempt)
	t.unknown()
}

func (d *TinyDNS) read(t *table) {
	t.text("root", &d.Root, checkPath)
	choice(t, "write", &d.Write, WriteFile, WriteSection, WriteRewrite, WriteHosts)
	t.text("path", &d.Path, checkDataPath)
	t.list("sources", &d.Sources, distinct(checkPattern))
	t.command("rebuild", &d.Rebuild)
	t.duration("timeout", &d.Timeout, 100*time.Millisecond, time.Hour)
	t.list("after", &d.After, checkWord)
	t.list("notify", &d.Notify, distinct(checkServer))
	choice(t, "aaaa", &d.AAAA, AAAAGeneric, AAAAFefe)
	t.text("verify", &d.Verify, optional(checkServer))
	t.text("location", &d.Location, func(s string) error {
		switch {
		case len(s) > 2 || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == ':' }):
			return errors.New(`is not a location: one or two characters as % lines have them, or "-" for the lines without one`)
		case s != "" && d.Write != WriteRewrite:
			return errors.New(`is only for write = "rewrite"`)
		}
		return nil
	})
	t.unknown()
}

func (c *Config) readZone(t *table) {
	var z RFC2136
	t.text("server", &z.Server, checkServer)
	t.text("zone", &z.Zone, checkDomain)
	t.text("tsig_name", &z.TSIGName, checkDomain)
	choice(t, "tsig_algorithm", &z.TSIGAlgorithm, "hmac-sha256", "hmac-sha384", "hmac-sha512")
	t.text("tsig_secret_file", &z.TSIGSecret, checkPath)
	t.unknown()

	for _, key := range []string{"server", "zone"} {
		if !t.has(key) {
			t.fault("", "needs a %s", key)
		}
	}
	tsig := []string{"tsig_name", "tsig_algorithm", "tsig_secret_file"}
	if slices.ContainsFunc(tsig, t.has) {
		for _, key := range tsig {
			if !t.has(key) {
				t.fault("", "needs a %s beside the other tsig keys, or none of them", key)
			}
		}
	}
	z.Zone, z.TSIGName = canonical(z.Zone), canonical(z.TSIGName)
	if slices.ContainsFunc(c.RFC2136, func(o RFC2136) bool { return o.Zone == z.Zone && o.Server == z.Server }) {
		t.fault("", "has the zone and server of an entry before it")
	}
	c.RFC2136 = append(c.RFC2136, z)
}

func (s *SSHD) read(t *table) {
	var users []string
	t.list("users", &users, distinct(checkAccount))
	for _, user := range users {
		name, admin := strings.CutSuffix(user, ":admin")
		if slices.ContainsFunc(s.Users, func(a Account) bool { return a.Name == name }) {
			t.fault("users", "holds %s twice", quote(name))
			continue
		}
		s.Users = append(s.Users, Account{name, admin})
	}
	t.unknown()
}

// canonical is a domain name in lower case, without its final dot.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
