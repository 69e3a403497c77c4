package rfc2136

import (
	"fmt"
	"strings"
	"testing"

	"dnsgate/internal/records"
	"dnsgate/test/rig"
)

// BenchmarkRFC2136 counts hosts updated per second, A and AAAA each, by
// Publish and by the same number of hosts through nsupdate. No address comes
// twice, since servers write nothing for an update that changes nothing.
// scripts/rfc2136-performance makes a table of it.
func BenchmarkRFC2136(b *testing.B) {
	rig.Needs(b, "nsupdate")
	for _, primary := range primaries {
		b.Run(primary.name, func(b *testing.B) {
			s := primary.start(b)
			r := newUpdater(b, s, nil)
			count := 0
			next := func(n int) []records.Host {
				hosts := make([]records.Host, n)
				for i := range hosts {
					count++
					hosts[i] = zoneHost(fmt.Sprintf("h%d", count%1000),
						fmt.Sprintf("10.%d.%d.%d", count>>16&255, count>>8&255, count&255),
						fmt.Sprintf("2001:db8::%x:%x", count>>16, count&0xFFFF))
				}
				return hosts
			}
			b.Run("dnsgate/one-by-one", func(b *testing.B) {
				for range b.N {
					publishHosts(b, r, next(1)...)
				}
				hostsPerSecond(b, b.N)
			})
			b.Run("dnsgate/200-a-message", func(b *testing.B) {
				for range b.N {
					publishHosts(b, r, next(200)...)
				}
				hostsPerSecond(b, 200*b.N)
			})
			b.Run("nsupdate/a-run-each", func(b *testing.B) {
				for range b.N {
					nsupdate(b, s, next(1), 1)
				}
				hostsPerSecond(b, b.N)
			})
			b.Run("nsupdate/one-by-one", func(b *testing.B) {
				nsupdate(b, s, next(b.N), 1)
				hostsPerSecond(b, b.N)
			})
			b.Run("nsupdate/200-a-message", func(b *testing.B) {
				nsupdate(b, s, next(200*b.N), 200)
				hostsPerSecond(b, 200*b.N)
			})
		})
	}
}

func hostsPerSecond(b *testing.B, hosts int) {
	b.ReportMetric(float64(hosts)/b.Elapsed().Seconds(), "hosts/s")
}

// nsupdate updates hosts by one run over TCP, perMessage of them at a time.
func nsupdate(t testing.TB, s *nameServer, hosts []records.Host, perMessage int) {
	t.Helper()
	var script strings.Builder
	fmt.Fprintf(&script, "server 127.0.0.1 %s\nzone %s\n", s.port(), testZone)
	for i, h := range hosts {
		fmt.Fprintf(&script, "update delete %[1]s. A\nupdate delete %[1]s. AAAA\n", h.Name)
		for _, r := range h.Records {
			fmt.Fprintf(&script, "update add %s. %d %s %s\n", h.Name, h.TTL, r.Type(), r.Value())
		}
		if (i+1)%perMessage == 0 || i == len(hosts)-1 {
			script.WriteString("send\n")
		}
	}
	runProgram(t, script.String(), "nsupdate", "-v", "-k", s.keyFile("gateway"))
}
