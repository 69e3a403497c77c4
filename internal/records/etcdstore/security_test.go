package etcdstore

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"
	"dnsgate/test/etcd"
	"dnsgate/test/storetest"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestRightsOnThePrefixSuffice: with certificates and etcd's users, a gateway
// that may read and write below its prefix alone does everything, and one that
// may not is told why.
func TestRightsOnThePrefixSuffice(t *testing.T) {
	cluster := etcd.StartSecure(t, "--unsafe-no-fsync")
	o := options(t, cluster)
	o.Prefix, o.CA = "/dnsgate/", cluster.CA()
	o.Cert, o.Key = cluster.Certificate(t, "gate")
	for _, words := range []string{
		"user add root --no-password", "user grant-role root root",
		"role add dnsgate", "role grant-permission dnsgate --prefix=true readwrite /dnsgate/",
		"user add gate --no-password", "user grant-role gate dnsgate", "auth enable",
	} {
		cluster.Ctl(t, strings.Fields(words)...)
	}
	s := openStore(t, o)
	storetest.Change(t, s, "a.example.com", storetest.Addresses("192.0.2.1"))
	storetest.Change(t, s, "a.example.com", nil)
	if err := s.Forget(t.Context(), s.Revision()); err != nil {
		t.Error(err)
	}
	if lines := storetest.History(t, s, records.All); len(lines) != 2 {
		t.Errorf("history %v", lines)
	}
	var backup bytes.Buffer
	if err := s.Backup(t.Context(), &backup); err != nil {
		t.Error(err)
	}
	if err := s.prune(t.Context(), new(logSize), 1); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(20 * time.Second); len(s.Gateways()) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the gateway does not see itself")
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}

	wrong := func(what, want string, change func(o *Options)) {
		t.Helper()
		o := o
		change(&o)
		s, err := Open(t.Context(), o)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	wrong("another prefix", "permission denied", func(o *Options) { o.Prefix = "/other/" })
	wrong("no certificate", "etcd cannot be reached", func(o *Options) { o.Cert, o.Key = "", "" })
	wrong("another authority", "certificate", func(o *Options) { o.CA = "" })
	if err := os.Chmod(o.Key, 0o640); err != nil {
		t.Fatal(err)
	}
	wrong("a key that others read", "chmod 600", func(*Options) {})
}

// TestHostileValues: whatever somebody writes below the prefix, the gateway goes
// on, names it, and changes nothing that it knew.
func TestHostileValues(t *testing.T) {
	cluster := etcd.Start(t, 1, "--unsafe-no-fsync")
	o := options(t, cluster)
	s := openStore(t, o)
	storetest.Change(t, s, "a.example.com", storetest.Addresses("192.0.2.1"))
	storetest.Change(t, s, "b.example.com", storetest.Addresses("192.0.2.2"))
	conn, err := s.nodes.wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	put := func(key, value string) {
		t.Helper()
		if _, err := conn.client.Put(t.Context(), o.Prefix+key, value); err != nil {
			t.Fatal(err)
		}
	}
	host := func(h records.Host) string { return string(memory.SealHost(memory.Entry{Host: h})) }
	hostile := map[string]string{
		keyHost + "a.example.com": "",
		keyHost + "c.example.com": host(records.Host{Name: "other.example.com"}),
		keyHost + "d.example.com": "\x09" + host(records.Host{Name: "d.example.com"})[1:],
		keyHost + "e.example.com": host(records.Host{Name: "e.example.com", Records: []records.Record{{Text: "x\n+evil:1.2.3.4"}}}),
		keyHost + "f.example.com": host(records.Host{Name: "f.example.com", Revision: 1 << 60}),
		keyHost + "not a name":    host(records.Host{Name: "not a name"}),
		keyHost + "\xff\xff":      "\xff\xff",
		keyLog + "zzzz":           "x",
		keyLog + "\x00":           "",
		logName(7):                seal(logName(7), []byte("0000000000000000 what")),
		keyGateway + "evil":       `{"name": "evil", "version": "\u001b[2J"}`,
		keyGateway + "worse":      "{",
		keyRole + "keeper/\x1b":   "nobody",
	}
	for key, value := range hostile {
		put(key, value)
	}
	storetest.Change(t, s, "z.example.com", storetest.Addresses("192.0.2.3")) // behind them in the watch
	if h := storetest.Read(t, s, "a.example.com"); len(h.Records) != 1 {
		t.Errorf("a host that was known has become %+v", h)
	}
	_, err = s.Commit(t.Context(), storetest.Txn(records.Host{Name: "c.example.com", TTL: 1}))
	if !errors.Is(err, records.ErrNotApplied) || !strings.Contains(err.Error(), "c.example.com") {
		t.Errorf("a change of a host with a value that is not understood: %v", err)
	}
	if lines := storetest.History(t, s, records.All); len(lines) != 3 {
		t.Errorf("history %v", lines)
	}
	if err := s.Backup(t.Context(), new(bytes.Buffer)); err == nil {
		t.Error("a backup says nothing of what it lacks")
	}
	check := func(s *Store) {
		t.Helper()
		all := strings.Join(s.Damaged(), "\n")
		for _, name := range []string{"a.example.com", "c.example.com", "d.example.com", "e.example.com", "f.example.com", "not a name"} {
			if !strings.Contains(all, name) {
				t.Errorf("%s is not named in:\n%s", name, all)
			}
		}
		if !strings.Contains(all, "format version 9 is not known") || strings.Contains(all, "\x1b") {
			t.Errorf("%s", all)
		}
	}
	check(s)
	s.Close()
	if err := Check(t.Context(), o); err == nil || !strings.Contains(err.Error(), "d.example.com") {
		t.Errorf("check: %v", err)
	}
	s = openStore(t, o)
	defer s.Close()
	check(s)
	if h := storetest.Read(t, s, "b.example.com"); len(h.Records) != 1 {
		t.Errorf("a good host is %+v", h)
	}
	if _, err := conn.client.Delete(t.Context(), o.Prefix+keyHost, clientv3.WithPrefix()); err == nil {
		t.Error("the connection of a closed store works")
	}
}

// TestEtcdOfThePastIsRefused, and a restore that did not come to its end.
func TestEtcdOfThePastIsRefused(t *testing.T) {
	cluster := etcd.Start(t, 1, "--unsafe-no-fsync")
	o := options(t, cluster)
	s := openStore(t, o)
	for range 20 {
		storetest.Change(t, s, "a.example.com", storetest.Addresses("192.0.2.1"))
		storetest.Change(t, s, "a.example.com", nil)
	}
	s.Close()
	past := etcd.Start(t, 1, "--unsafe-no-fsync")
	then := o
	then.Endpoints = past.URLs()
	if _, err := Open(t.Context(), then); err == nil || !strings.Contains(err.Error(), "etcdutl snapshot restore --bump-revision") {
		t.Errorf("an older etcd: %v", err)
	}
	cluster.Ctl(t, "put", o.Prefix+keyRestore, "")
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "restore") {
		t.Errorf("an incomplete restore: %v", err)
	}
}

// FuzzValues: no value does harm.
func FuzzValues(f *testing.F) {
	s := &Store{o: Options{Prefix: "/p/", now: time.Now}, meta: meta{restored: 7}}
	f.Add("a.example.com", memory.SealHost(memory.Entry{Host: records.Host{Name: "a.example.com", Records: storetest.Addresses("192.0.2.1")}}))
	f.Add("0000000000000007", []byte(seal(logName(7), []byte("0000000000000000 0 2026-11-21T06:05:00Z home.example.com - 192.0.2.1 300 lease -"))))
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		for _, kind := range []string{keyHost, keyLog} {
			for _, sealed := range [][]byte{value, []byte(seal(kind+name, value)), memory.Seal([]byte(name), value)} {
				kv := &mvccpb.KeyValue{Key: []byte("/p/" + kind + name), Value: sealed, ModRevision: 9}
				if e, err := s.openHost(kv); err == nil && e.Revision == 0 {
					t.Errorf("%q is %+v", value, e)
				}
				s.openEntry(kv)
			}
		}
		parseMeta([]byte(seal(keyMeta, value)))
	})
}
