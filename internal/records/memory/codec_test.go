package memory

import (
	"testing"

	"dnsgate/internal/records"
	"dnsgate/test/storetest"
)

// FuzzEncodeHost: whatever a change line can hold survives the store's
// encoding.
func FuzzEncodeHost(f *testing.F) {
	f.Add("42 2026-11-21T06:05:00Z home.example.com - 192.0.2.1@1800000000,txt=a 300 SHA256:abc 198.51.100.7")
	f.Add("1 2026-11-21T06:05:00Z _acme-challenge.a.b txt=x - 0 lease -")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := records.ParseChange(line)
		if err != nil {
			return
		}
		e := Entry{records.Host{Name: c.Name, Revision: c.Revision, TTL: c.TTL, Records: c.New}, 7}
		got, err := OpenHost([]byte(c.Name), SealHost(e))
		if err != nil || got.Logged != 7 || got.Revision != e.Revision || !got.Equal(e.Host) {
			t.Errorf("%+v decodes to %+v, %v", e, got, err)
		}
		s := slot(e)
		if got, _ := open(s, nil); nameOf(s) != e.Name || revisionOf(s) != e.Revision || !got.Equal(e.Host) {
			t.Errorf("%+v is in memory as %+v", e, got)
		}
	})
}

// FuzzDecodeHost: no value that a damaged file could hold does harm.
func FuzzDecodeHost(f *testing.F) {
	f.Add(string(encode(nil, Entry{records.Host{Revision: 1, Records: storetest.Addresses("192.0.2.1", "2001:db8::1")}, 1})))
	f.Add("\x00\x00\x00\x00\x16abcdef\x00")
	f.Fuzz(func(t *testing.T, value string) {
		e, _, err := decode("a.example.com", value, nil)
		if err == nil && len(e.Records) > len(value) {
			t.Errorf("%d records out of %d bytes", len(e.Records), len(value))
		}
	})
}
