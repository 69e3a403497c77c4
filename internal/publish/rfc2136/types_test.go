package rfc2136

import (
	"testing"

	"dnsgate/internal/records"
)

// typedHost is zoneHost as a store has it that knows this much of what it had.
func typedHost(had records.Had, label string, values ...string) records.Host {
	h := zoneHost(label, values...)
	h.Had = had.With(h.Records)
	return h
}

// perType runs a test with each server that knows policies by type.
func perType(t *testing.T, test func(*testing.T, *nameServer, func(key string) *Target)) {
	for _, primary := range primaries {
		if !primary.perName {
			continue
		}
		t.Run(primary.name, func(t *testing.T) {
			s := primary.start(t)
			test(t, s, func(key string) *Target {
				return newUpdater(t, s, func(o *Options) { o.TSIGSecretFile = s.keyFile(key) })
			})
		})
	}
}

// A key that may change A alone sets A, and is told which types it may not.
func TestRFC2136KeyOfOneType(t *testing.T) {
	perType(t, func(t *testing.T, s *nameServer, as func(string) *Target) {
		four, mixed := as("four"), as("mixed")
		for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
			publishHosts(t, four, typedHost(0, "four", address))
			serves(t, s, "four", address)
		}
		publishHosts(t, mixed, typedHost(0, "text", "192.0.2.3"), typedHost(0, "_acme-challenge.text", "x"), typedHost(0, "four", "192.0.2.4"))
		serves(t, s, "text", "192.0.2.3")
		serves(t, s, "_acme-challenge.text", `"x"`)
		serves(t, s, "four", "192.0.2.4")

		six := typedHost(0, "four", "192.0.2.5", "2001:db8::5")
		err := four.Publish(t.Context(), []records.Host{six, typedHost(0, "nas", "192.0.2.5")}, false)
		wantRefused(t, err, map[records.Name]string{"four." + testZone: "changing A and AAAA: ", "nas." + testZone: "changing A: "})
		serves(t, s, "four", "192.0.2.4")
		publishHosts(t, four, typedHost(0, "four", "192.0.2.6"), typedHost(0, "home"))
		publishHosts(t, four, zoneHostGone(0, "four", "192.0.2.6"))
		serves(t, s, "four")
	})
}

// zoneHostGone is a host that had values and now has none.
func zoneHostGone(had records.Had, label string, values ...string) records.Host {
	h := typedHost(had, label, values...)
	h.Records = nil
	return h
}

// Where it is not known what a host had, what it no longer has goes as far as
// the key may take it away; that it may not is no error.
func TestRFC2136TypesUnknown(t *testing.T) {
	perType(t, func(t *testing.T, s *nameServer, as func(string) *Target) {
		const unknown = records.HadUnknown
		gateway, four, mixed := as("gateway"), as("four"), as("mixed")
		both := []string{"192.0.2.1", "2001:db8::1"}

		publishHosts(t, gateway, zoneHost("home", both...), zoneHost("four", both...), zoneHost("nas", both...))
		publishHosts(t, gateway, typedHost(unknown, "nas", "192.0.2.2"))
		serves(t, s, "nas", "192.0.2.2")

		publishHosts(t, four, typedHost(unknown, "four", "192.0.2.2"))
		serves(t, s, "four", "192.0.2.2", "2001:db8::1")
		publishHosts(t, mixed, typedHost(unknown, "four", "192.0.2.3"), typedHost(unknown, "text", "192.0.2.3"), typedHost(unknown, "home", "192.0.2.3"))
		serves(t, s, "four", "192.0.2.3", "2001:db8::1")
		serves(t, s, "text", "192.0.2.3")
		serves(t, s, "home", "192.0.2.3")

		publishHosts(t, four, typedHost(unknown, "four"), typedHost(unknown, "nas"))
		serves(t, s, "four", "2001:db8::1")
		err := four.Publish(t.Context(), []records.Host{zoneHostGone(unknown, "nas", "192.0.2.2")}, false)
		wantRefused(t, err, map[records.Name]string{"nas." + testZone: "changing A: "})
		serves(t, s, "nas", "192.0.2.2")
		othersUntouched(t, s)
	})
}
