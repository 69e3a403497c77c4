package authkeys

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestLookup(t *testing.T) {
	set, faults := Parse("authorized_keys", []byte(strings.Join([]string{
		`# a comment`,
		`command="dnsgate allow home.example.com",from="192.0.2.0/24,!192.0.2.9" ` + keyA + ` router`,
		`command="dnsgate admin",expiry-time="20261121120000Z" ` + keyB,
	}, "\n")), testNow)
	if len(faults) != 0 {
		t.Fatal(faults)
	}
	for _, test := range []struct {
		key, source string
		now         time.Time
		want        error
	}{
		{keyA, "192.0.2.1", testNow, nil},
		{keyA, "::ffff:192.0.2.1", testNow, nil},
		{keyA, "192.0.2.9", testNow, ErrSource},
		{keyA, "198.51.100.1", testNow, ErrSource},
		{keyA, "2001:db8::1", testNow, ErrSource},
		{keyB, "192.0.2.1", testNow, nil},
		{keyB, "192.0.2.1", testNow.Add(999 * time.Millisecond), nil},
		{keyB, "192.0.2.1", testNow.Add(time.Second), ErrExpired},
	} {
		g, err := set.Lookup(mustKey(t, test.key), netip.MustParseAddr(test.source), test.now)
		if !errors.Is(err, test.want) {
			t.Errorf("%.40s from %s: %v, want %v", test.key, test.source, err, test.want)
		}
		if err != nil && (g.Admin || g.Line != 0 || len(g.Hosts) > 0) {
			t.Errorf("%.40s from %s: a grant beside an error: %+v", test.key, test.source, g)
		}
	}
}
