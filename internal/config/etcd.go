package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// StoreKind says where the records are.
type StoreKind string

// The kinds of stores.
const (
	StoreBolt StoreKind = "bolt" // a file in State
	StoreEtcd StoreKind = "etcd" // a cluster that several gateways share
)

// Etcd describes the cluster, and this gateway to the others.
type Etcd struct {
	Endpoints []string      // URLs, all https or all plain http to loopback
	Prefix    string        // of all keys; begins and ends with a slash
	CA        string        // path; empty: the system's; of no use with http, as the next two
	Cert, Key string        // paths; both empty: the gateway has no certificate
	Name      string        // of this gateway
	Timeout   time.Duration // of one request
}

// readEtcd reads the table. One that is there while the store is another waits
// for its day.
func (c *Config) readEtcd(t *table) {
	etcd := t.table("etcd")
	if etcd == nil {
		if c.Store == StoreEtcd {
			t.fault("store", `= "etcd" needs a table [etcd] with its endpoints`)
		}
		return
	}
	e := &Etcd{Prefix: "/dnsgate/", CA: "etcd-ca.pem", Cert: "etcd.pem", Key: "etcd.key", Timeout: 2500 * time.Millisecond}
	etcd.list("endpoints", &e.Endpoints, distinct(checkEndpoint))
	etcd.text("prefix", &e.Prefix, checkPrefix)
	etcd.text("ca", &e.CA, optional(checkPath))
	etcd.text("cert", &e.Cert, optional(checkPath))
	etcd.text("key", &e.Key, optional(checkPath))
	etcd.text("name", &e.Name, optional(checkGateway))
	etcd.duration("timeout", &e.Timeout, 100*time.Millisecond, time.Minute)
	etcd.unknown()
	if e.Name == "" {
		e.Name, _ = os.Hostname()
	}
	secure := func(endpoint string) bool { return strings.HasPrefix(endpoint, "https:") }
	switch {
	case len(e.Endpoints) == 0:
		etcd.fault("endpoints", "names no node of etcd")
	case slices.ContainsFunc(e.Endpoints, func(endpoint string) bool { return secure(endpoint) != secure(e.Endpoints[0]) }):
		etcd.fault("endpoints", "must be all https:// or all http://")
	case (e.Cert == "") != (e.Key == ""):
		etcd.fault("", "needs both cert and key, or neither")
	}
	c.Etcd = e
}

func checkEndpoint(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Path != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New(`is not a URL such as "https://a.example.com:2379"`)
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		return errors.New("has no port; etcd's is 2379")
	}
	if err := checkPort(port, 1); err != nil {
		return err
	}
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		if a, err := netip.ParseAddr(host); host == "localhost" || err == nil && a.IsLoopback() {
			return nil
		}
		return errors.New("is plain http to another machine; use https, with certificates")
	}
	return errors.New("must begin with https://")
}

func checkPrefix(s string) error {
	if !strings.HasPrefix(s, "/") || !strings.HasSuffix(s, "/") || len(s) < 3 || len(s) > 200 {
		return errors.New(`must begin and end with a slash, as "/dnsgate/" does, with a name between`)
	}
	return checkPlain(s)
}

func checkGateway(s string) error {
	if len(s) > 200 || strings.Contains(s, "/") {
		return errors.New("must be a short word without a slash")
	}
	return checkPlain(s)
}

func checkPlain(s string) error {
	if strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return errors.New("holds characters other than printable ones of ASCII")
	}
	return nil
}
