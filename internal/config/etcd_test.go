package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEtcd(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "dnsgate.toml")
	content := "store = 'etcd'\n[etcd]\nendpoints = ['https://a.example.com:2379', 'https://[2001:db8::1]:2379']\nname = 'gate1'\ntimeout = '1s'\nca = '/etc/ca.pem'\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	e := c.Etcd
	if c.Store != StoreEtcd || len(e.Endpoints) != 2 || e.Prefix != "/dnsgate/" || e.Name != "gate1" || e.Timeout != time.Second ||
		!slices.Equal([]string{e.CA, e.Cert, e.Key}, []string{"/etc/ca.pem", filepath.Join(folder, "etcd.pem"), filepath.Join(folder, "etcd.key")}) {
		t.Errorf("%+v", e)
	}
}

func TestEtcdFaults(t *testing.T) {
	for content, want := range map[string]string{
		"store = 'etcd'":  "f:1: store = \"etcd\" needs a table [etcd]",
		"store = 'redis'": "must be one of",
		"[etcd]":          "f:1: etcd.endpoints names no node",
		"[etcd]\nendpoints = ['http://192.0.2.1:2379']":                            "is plain http to another machine",
		"[etcd]\nendpoints = ['http://a.example.com:2379']":                        "is plain http to another machine",
		"[etcd]\nendpoints = ['a.example.com:2379']":                               "is not a URL",
		"[etcd]\nendpoints = ['https://u:p@a.example.com:2379']":                   "is not a URL",
		"[etcd]\nendpoints = ['https://a.example.com']":                            "has no port",
		"[etcd]\nendpoints = ['ftp://a.example.com:2379']":                         "must begin with https://",
		"[etcd]\nendpoints = ['https://a.example.com:2379', 'http://[::1]:2379']":  "must be all https:// or all http://",
		"[etcd]\nendpoints = ['https://a.example.com:2379']\nkey = ''":             "needs both cert and key",
		"[etcd]\nendpoints = ['http://localhost:2379']\nprefix = '/'":              "must begin and end with a slash",
		"[etcd]\nendpoints = ['http://localhost:2379']\nprefix = 'dnsgate/'":       "must begin and end with a slash",
		"[etcd]\nendpoints = ['http://localhost:2379']\nname = 'a/b'":              "without a slash",
		"[etcd]\nendpoints = ['http://localhost:2379']\ntimeout = '1ms'":           "must be from",
		"[etcd]\nendpoints = ['http://localhost:2379', 'http://localhost:2379']\n": "it is there twice",
	} {
		if _, err := parse("f", []byte(content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
}
