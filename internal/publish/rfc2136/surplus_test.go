package rfc2136

import (
	"io"
	"net"
	"testing"
	"time"

	"dnsgate/internal/records"
)

// doubled sends each answer of server twice: at once, or the second time after a while.
func doubled(t *testing.T, server string, later time.Duration) string {
	t.Helper()
	return between(t, server, func(client, upstream net.Conn) {
		go io.Copy(upstream, client)
		for {
			answer := readFramed(upstream)
			if answer == nil {
				return
			}
			writeFramed(client, answer)
			time.Sleep(later)
			writeFramed(client, answer)
		}
	})
}

// TestRFC2136SurplusAnswer: an answer too many must not be taken for that to
// the next update, and stop the zone for ever.
func TestRFC2136SurplusAnswer(t *testing.T) {
	s := startBIND(t)
	for name, later := range map[string]time.Duration{"at once": 0, "later": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			r := newUpdater(t, s.behind(doubled(t, s.addr, later)), nil)
			for _, addr := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"} {
				publishHosts(t, r, zoneHost("home", addr))
				serves(t, s, "home", addr)
				time.Sleep(2 * later)
			}
			// Even if the answer too many comes between the request and its answer.
			if later > 0 {
				publishHosts(t, r, zoneHost("home", "192.0.2.5"))
				_ = r.Publish(t.Context(), []records.Host{zoneHost("home", "192.0.2.6")}, false) // may fail once
				publishHosts(t, r, zoneHost("home", "192.0.2.7"))
				serves(t, s, "home", "192.0.2.7")
			}
		})
	}
}
