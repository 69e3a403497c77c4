package rfc2136

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/records/boltstore"
)

// From the store to the name server: a server that was away, or slow, gets
// what it missed by itself, and a host that it refuses keeps no other waiting.
func TestRFC2136FollowsTheStore(t *testing.T) {
	for _, primary := range primaries {
		t.Run(primary.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			server := primary.start(t)
			store, err := boltstore.Open(t.TempDir(), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			target := newUpdater(t, server, func(o *Options) { o.Timeout = 2 * time.Second })
			set := publish.NewSet(func() publish.Source { return store.Follow(0) }, slog.New(slog.DiscardHandler), target)
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { set.Run(ctx) })
			defer running.Wait()
			defer cancel()

			// change commits a host and waits until it is published, or known not to be.
			change := func(label, address string) error {
				t.Helper()
				h := zoneHost(label, address)
				now, err := store.Hosts(ctx, []records.Name{h.Name})
				if err != nil {
					t.Fatal(err)
				}
				h.Revision = now[0].Revision
				revision, err := store.Commit(ctx, records.Txn{Cause: records.Cause{Time: time.Now(), Key: "test", Source: "-"}, Hosts: []records.Host{h}})
				if err != nil {
					t.Fatal(err)
				}
				patient, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				return set.Wait(patient, []records.Name{h.Name}, revision)
			}
			byItself := func(label, address string) {
				t.Helper()
				for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
					served := slices.Equal(server.lookup(t, label+"."+testZone, dns.TypeA), []string{"60 " + address})
					if served && set.Progress()[0].LastError == "" {
						return
					}
					if time.Now().After(deadline) {
						t.Fatalf("%s is not published: %+v", address, set.Progress())
					}
				}
			}

			if err := change("home", "192.0.2.1"); err != nil {
				t.Fatal(err)
			}
			serves(t, server, "home", "192.0.2.1")

			server.kill(t)
			explains(t, server, change("home", "192.0.2.2"), "rfc2136 "+testZone, "connection refused")
			server.start(t)
			byItself("home", "192.0.2.2")

			server.pause(t)
			explains(t, server, change("home", "192.0.2.3"), "no answer within 2s")
			server.resume(t)
			byItself("home", "192.0.2.3")

			explains(t, server, change("alias", "192.0.2.4"), "CNAME")
			if err := change("nas", "192.0.2.5"); err != nil {
				t.Fatal(err)
			}
			serves(t, server, "nas", "192.0.2.5")
			othersUntouched(t, server)
		})
	}
}
