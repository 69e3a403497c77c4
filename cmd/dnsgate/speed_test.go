//go:build !client

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dnsgate/test/etcd"
)

// TestSpeedOfStores compares gateways on one disk and on three nodes of etcd in
// one run: 32 clients that hold a connection each, every update a new address,
// published to tinydns. DNSGATE_SPEED says how long each round takes: 5s.
func TestSpeedOfStores(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("DNSGATE_SPEED"))
	if err != nil {
		t.Skip("DNSGATE_SPEED is not set")
	}
	bolt := newVictim(t)
	shared := newVictimOf(t, bolt.binary)
	shared.shareStore(t, etcd.Start(t, 3), "gate")
	for range 2 {
		for name, g := range map[string]*victim{"bolt": bolt, "etcd": shared} {
			key := g.authorize(t, "."+victimZone)
			g.start(t)
			var done atomic.Int64
			var all sync.WaitGroup
			before, end := g.cpu(t), time.Now().Add(length)
			for i := range 32 {
				all.Go(func() {
					conn, err := g.dial(key)
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
					for n := 0; time.Now().Before(end); n++ {
						session, err := conn.NewSession()
						if err != nil {
							t.Error(err)
							return
						}
						out, _ := session.Output(fmt.Sprintf("update h%d.%s 198.51.%d.%d", i, victimZone, n>>8&63, n&255|1))
						if strings.HasPrefix(string(out), "good") {
							done.Add(1)
						}
						session.Close()
					}
				})
			}
			all.Wait()
			used := g.cpu(t) - before
			t.Logf("%s: %.0f updates/s, %.3f ms of CPU each", name, float64(done.Load())/length.Seconds(), used.Seconds()*1000/float64(done.Load()))
			g.kill()
		}
	}
}

// cpu is what the gateway has used.
func (g *victim) cpu(t *testing.T) time.Duration {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/stat", g.process.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, _ := io.ReadAll(f)
	var user, system int64
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	return time.Duration(user+system) * 10 * time.Millisecond
}
