package boltstore

import (
	"bytes"
	"reflect"
	"testing"

	"dnsgate/internal/records"
)

var hadA = records.Had(0).Add(records.A)

// TestHad: a host's set has each type that it ever had, after a restart too;
// after a restore it has those that the backup tells of, and says that there
// may be others.
func TestHad(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, folder)
	change := func(name records.Name, values ...string) {
		t.Helper()
		h := read(t, s, name)
		h.TTL, h.Records = 300, addresses(values...)
		mustCommit(t, s, h)
	}
	const home, nas = "home.example.com", "nas.example.com"
	change(home, "192.0.2.1")
	change(nas, "192.0.2.1", "2001:db8::1")
	change(home)
	change(nas, "2001:db8::1")
	want := func(name records.Name, had records.Had) {
		t.Helper()
		if got := read(t, s, name).Had; got != had {
			t.Errorf("%s had %04b, want %04b", name, got, had)
		}
	}
	for range 2 {
		want(home, hadA)
		want(nas, hadA.Add(records.AAAA))
		want("new.example.com", 0)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, folder)
	}
	defer func() { s.Close() }()
	for _, h := range mustPicture(t, s) {
		want(h.Name, h.Had)
	}
	var backup bytes.Buffer
	if err := s.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	restored := t.TempDir()
	if err := Restore(restored, &backup); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = openStore(t, restored)
	want(home, hadA|records.HadUnknown)
	change(home, "2001:db8::1")
	want(home, hadA.Add(records.AAAA)|records.HadUnknown)
	want(nas, hadA.Add(records.AAAA)|records.HadUnknown)
}

func mustPicture(t *testing.T, s *Store) []records.Host {
	t.Helper()
	u, err := s.Follow().Next(t.Context())
	if err != nil || !u.Whole {
		t.Fatal(u, err)
	}
	return u.Hosts
}

// TestOldFormat reads values as they were written before there was a MadeBy,
// and before there was a Had.
func TestOldFormat(t *testing.T) {
	const name = "a.example.com"
	rest := "\x04\xc0\x00\x02\x01\x00" // 192.0.2.1, for ever
	head := "\x03\x02\x08\xac\x02"     // revision 3, logged at 2, session 4, TTL 300
	for version, value := range map[byte]string{
		1: head + rest,
		2: head + "\x01\x00\x00\x00\x00\x00\x00\x00\x07" + rest,
		3: head + "\x01\x00\x00\x00\x00\x00\x00\x00\x07" + "\x02\x09" + rest,
	} {
		sealed := seal(nil, []byte(name), []byte(value))
		sealed[0] = version
		want := records.Host{Name: name, Revision: 3, Session: 4, TTL: 300, Had: hadA | records.HadUnknown, Records: addresses("192.0.2.1")}
		if version > 1 {
			want.MadeBy = 7
		}
		st, err := openHost([]byte(name), sealed)
		if err != nil || st.logged != 2 || !reflect.DeepEqual(st.host, want) {
			t.Errorf("version %d: %+v, %v", version, st, err)
		}
		sealed[0] = sealVersion + 1
		if _, err := openHost([]byte(name), sealed); err == nil {
			t.Error("a later format is read")
		}
	}
}
