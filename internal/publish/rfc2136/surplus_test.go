package rfc2136

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"dnsgate/internal/records"
)

// doubled is the address of a peer between us and server that sends each
// answer twice: at once, or the second time after a while.
func doubled(t *testing.T, server string, later time.Duration) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	relay := func(client net.Conn) {
		defer client.Close()
		upstream, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer upstream.Close()
		go io.Copy(upstream, client)
		for {
			frame := make([]byte, 2, 1<<16)
			if _, err := io.ReadFull(upstream, frame); err != nil {
				return
			}
			frame = frame[:2+binary.BigEndian.Uint16(frame)]
			if _, err := io.ReadFull(upstream, frame[2:]); err != nil {
				return
			}
			client.Write(frame)
			time.Sleep(later)
			client.Write(frame)
		}
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go relay(client)
		}
	}()
	return listener.Addr().String()
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
