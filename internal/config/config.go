// Package config reads dnsgate.toml.
//
// It trusts the operator's intent and nothing else: an unknown key, a wrong type or a
// bad value is a fault with its file and line. All faults of a file are reported at
// once, and a file with a fault gives no configuration.
package config

import (
	"net/netip"
	"path/filepath"
	"time"
)

// Config is the content of dnsgate.toml with defaults filled in. It is plain data, and
// does not change after Load.
type Config struct {
	Listen         []string // "ADDRESS:PORT", an empty ADDRESS being all; port 0: any free one
	HostKeys       []string // paths of private keys, at least one
	AuthorizedKeys string   // path
	State          string   // path of the store's folder
	Store          StoreKind
	Control        string // path of the socket for this machine's own programs; empty: see ControlSocket
	TTL            uint32 // seconds, of a record whose grant says nothing else

	RevokedKeys string // path of a file of keys that may do nothing; empty: none
	MetricsFile string // path of a file to write the metrics to as well; empty: none

	PostQuantumOnly bool // refuse clients that have no post-quantum key exchange
	Confine         bool // keep the running process to its own files and servers

	Limits  Limits
	TinyDNS *TinyDNS // nil: no tinydns
	RFC2136 []RFC2136
	SSHD    SSHD
	Etcd    *Etcd // nil: no such table

	Followers Followers
	Follow    *Follow // nil: this is a gateway's configuration

	Places Places // where the values stand
}

// Limits bounds what clients may cost. Names and meanings are sshd_config's
// where it has them.
type Limits struct {
	LoginGraceTime    time.Duration // from the connection to the proven key
	MaxStartups       int           // unauthenticated connections at once, in all
	PerSourceStartups int           // and per source: /32 of IPv4, /64 of IPv6
	MaxAuthTries      int           // per connection
	MaxSessions       int           // channels open at once in one connection
	IdleTimeout       time.Duration // without a command running
	MaxConnection     time.Duration // a connection's whole life
	MaxLogins         int           // authenticated connections at once, in all
	MaxLoginsPerKey   int           // and per key
	UpdatesPerMinute  int           // per key and hostname, with an equal burst
	MaxHosts          int           // names that have records, before patterns of keys get no new ones
	MaxHostsPerKey    int           // of these, that the patterns of one key made

	Penalties     bool           // slow, for a while, sources that gave trouble
	PenaltyExempt []netip.Prefix // but never these
}

// WriteMode is how dynamic records get into a tinydns data file.
type WriteMode string

// The write modes (section 7 of the contract).
const (
	WriteFile    WriteMode = "file"    // a data file of dnsgate's own
	WriteSection WriteMode = "section" // between two marker lines of a data file
	WriteRewrite WriteMode = "rewrite" // in the host's existing lines
	WriteHosts   WriteMode = "hosts"   // one file per host in a folder
)

// TinyDNS describes one tinydns root.
type TinyDNS struct {
	Root    string        // path of the folder that holds data.cdb
	Write   WriteMode     //
	Path    string        // of the data file or folder written, relative to Root unless absolute
	Sources []string      // further data files, patterns of filepath.Match, relative to Root unless absolute
	Rebuild []string      // the command run in Root, without a shell; nil: dnsgate compiles data.cdb itself
	Timeout time.Duration // of the command
	AAAA    AAAAFormat    //
	Verify  string        // "HOST:PORT" of the server asked before answering good; empty: none

	After  []string // a command that is run in Root when data.cdb was replaced; empty: none
	Notify []string // "HOST:PORT" of secondaries that get a NOTIFY

	// Location is the location whose lines belong to dnsgate with WriteRewrite; "-":
	// lines without one; empty: any.
	Location string
}

// AAAAFormat is how an AAAA record is written in tinydns-data.
type AAAAFormat string

// The formats of AAAA records.
const (
	AAAAGeneric AAAAFormat = "generic" // ":name:28:...", as stock tinydns-data reads
	AAAAFefe    AAAAFormat = "fefe"    // "6name:...", as the IPv6 patch reads
)

// RFC2136 describes one zone updated by signed UPDATE messages.
type RFC2136 struct {
	Server        string // "HOST:PORT"
	Zone          string // lower case, without a final dot
	TSIGName      string // lower case, without a final dot; empty: missing, which publish refuses
	TSIGAlgorithm string // "hmac-sha256", "hmac-sha384" or "hmac-sha512"
	TSIGSecret    string // path of the file with the base64 secret
}

// SSHD says who may come through OpenSSH's sshd.
type SSHD struct {
	Users []Account
}

// Account is one of this machine whose forced commands are believed.
type Account struct {
	Name  string
	Admin bool // "dnsgate admin" and "dnsgate monitor" too
}

// Followers says which followers a change must have reached.
type Followers struct {
	Require int           // how many must serve it before it is good
	Timeout time.Duration // from the local publication on
}

// Follow says which gateway a follower follows.
type Follow struct {
	Gateways   []string // "HOST:PORT"; the first that answers
	Names      []string // hosts and .suffixes
	Key        string   // path of the private key
	KnownHosts string   // path
}

// SharedControl is the socket's place for other accounts, which could not reach one in
// state.
const SharedControl = "/run/dnsgate/control"

// ControlSocket is the path of the socket for this machine's own programs.
func (c *Config) ControlSocket() string {
	switch {
	case c.Control != "":
		return c.Control
	case len(c.SSHD.Users) > 0:
		return SharedControl
	}
	return filepath.Join(c.State, "control")
}

// defaults is the configuration of an empty file, its paths still relative.
func defaults() *Config {
	return &Config{
		Listen:         []string{"[::]:2222"},
		HostKeys:       []string{"ssh_host_ed25519_key"},
		AuthorizedKeys: "authorized_keys",
		State:          "state",
		Store:          StoreBolt,
		TTL:            300,
		Confine:        true,
		Followers:      Followers{Timeout: 5 * time.Second},
		Limits: Limits{
			LoginGraceTime:    20 * time.Second,
			MaxStartups:       200,
			PerSourceStartups: 20,
			MaxAuthTries:      6,
			MaxSessions:       10,
			IdleTimeout:       30 * time.Second,
			MaxConnection:     10 * time.Minute,
			MaxLogins:         4000,
			MaxLoginsPerKey:   64,
			UpdatesPerMinute:  30,
			MaxHosts:          1_000_000,
			MaxHostsPerKey:    10_000,
			Penalties:         true,
			PenaltyExempt:     []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		},
	}
}

// defaultTinyDNS is an empty [tinydns] table.
func defaultTinyDNS() *TinyDNS {
	return &TinyDNS{
		Root:    "root",
		Write:   WriteFile,
		Path:    "dnsgate",
		Sources: []string{"data"},
		Timeout: 10 * time.Second,
		AAAA:    AAAAGeneric,
		After:   []string{},
		Notify:  []string{},
	}
}

// resolve makes the paths absolute or relative to folder.
func (c *Config) resolve(folder string) {
	join := func(path *string) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(folder, *path)
		}
	}
	for i := range c.HostKeys {
		join(&c.HostKeys[i])
	}
	join(&c.AuthorizedKeys)
	join(&c.State)
	join(&c.Control)
	join(&c.RevokedKeys)
	join(&c.MetricsFile)
	if c.Follow != nil {
		join(&c.Follow.Key)
		join(&c.Follow.KnownHosts)
	}
	if c.TinyDNS != nil {
		join(&c.TinyDNS.Root)
	}
	if c.Etcd != nil {
		join(&c.Etcd.CA)
		join(&c.Etcd.Cert)
		join(&c.Etcd.Key)
	}
	for i := range c.RFC2136 {
		join(&c.RFC2136[i].TSIGSecret)
	}
}
