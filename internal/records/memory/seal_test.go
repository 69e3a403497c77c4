package memory

import (
	"reflect"
	"strings"
	"testing"

	"dnsgate/internal/records"
	"dnsgate/test/storetest"
)

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
		sealed := Seal([]byte(name), []byte(value))
		sealed[0] = version
		want := records.Host{Name: name, Revision: 3, Session: 4, TTL: 300, Had: records.HadUnknown.Add(records.A), Records: storetest.Addresses("192.0.2.1")}
		if version > 1 {
			want.MadeBy = 7
		}
		e, err := OpenHost([]byte(name), sealed)
		if err != nil || e.Logged != 2 || !reflect.DeepEqual(e.Host, want) {
			t.Errorf("version %d: %+v, %v", version, e, err)
		}
		sealed[0] = sealVersion + 1
		if _, err := OpenHost([]byte(name), sealed); err == nil {
			t.Error("a later format is read")
		}
	}
}

// TestLongKey: a slot has a byte for the length of a name, and no key is read as more.
func TestLongKey(t *testing.T) {
	for _, n := range []int{254, 255, 256, 600} {
		key := []byte(strings.Repeat("a", n))
		if s, err := OpenSlot(key, Seal(key, encode(nil, Entry{}))); err == nil {
			t.Errorf("%d bytes: %+v", n, s)
		}
	}
}
