package boltstore

import (
	"testing"

	"dnsgate/internal/records"
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
		h := records.Host{Name: c.Name, Revision: c.Revision, TTL: c.TTL, Records: c.New}
		value := string(encodeHost(nil, h, 7))
		got, logged, _, err := decodeHost(c.Name, value, nil)
		if err != nil || logged != 7 || got.Revision != h.Revision || !got.Equal(h) {
			t.Errorf("%+v decodes to %+v, %d, %v", h, got, logged, err)
		}
	})
}

// FuzzDecodeHost: no value that a damaged file could hold does harm.
func FuzzDecodeHost(f *testing.F) {
	f.Add(string(encodeHost(nil, records.Host{Revision: 1, Records: addresses("192.0.2.1", "2001:db8::1")}, 1)))
	f.Add("\x00\x00\x00\x00\x16abcdef\x00")
	f.Fuzz(func(t *testing.T, value string) {
		h, _, _, err := decodeHost("a.example.com", value, nil)
		if err == nil && len(h.Records) > len(value) {
			t.Errorf("%d records out of %d bytes", len(h.Records), len(value))
		}
	})
}
