package datafile

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/test/publishing"
)

// BenchmarkStream sends 1,000 updates a second to 10,000 hosts beside many
// static names, each by a waiter of its own, and tells how the regenerations
// keep up.
func BenchmarkStream(b *testing.B) {
	for _, static := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(static), func(b *testing.B) {
			root := b.TempDir()
			writeStatic(b, filepath.Join(root, "data"), static)
			s := publishing.NewTruth()
			for i := range 10_000 {
				s.Set(streamHost(i), "203.0.113.1")
			}
			target := newTarget(b, fileOptions(root))
			set := publishing.Run(b, s, target)
			if err := set.Wait(context.Background(), []records.Name{streamHost(0)}, s.Revision); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				sendUpdates(b, s, set, 10*time.Second)
			}
		})
	}
}

func writeStatic(b *testing.B, path string, n int) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	w.WriteString(zone)
	for i := range n {
		fmt.Fprintf(w, "+s%d.example.com:192.0.2.%d:3600\n", i, i%256)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
}

func streamHost(i int) records.Name {
	return records.Name(fmt.Sprintf("dyn%d.example.com", i%10_000))
}

func sendUpdates(b *testing.B, s *publishing.Truth, set *publish.Set, length time.Duration) {
	const perSecond = 1000
	before := set.Progress()[0]
	var mu sync.Mutex
	var waits []time.Duration
	var waiters sync.WaitGroup
	start := time.Now()
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for i := 0; time.Since(start) < length; i++ {
		<-tick.C
		name := streamHost(i * 7)
		addr := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		waiters.Go(func() {
			sent := time.Now()
			revision := s.Set(name, addr.String())
			if err := set.Wait(context.Background(), []records.Name{name}, revision); err != nil {
				b.Error(err)
			}
			mu.Lock()
			waits = append(waits, time.Since(sent))
			mu.Unlock()
		})
	}
	waiters.Wait()
	took := time.Since(start).Seconds()
	slices.Sort(waits)
	after := set.Progress()[0]
	b.ReportMetric(float64(len(waits))/took, "updates/s")
	b.ReportMetric(float64(after.Publications-before.Publications)/took, "rounds/s")
	b.ReportMetric(float64(waits[len(waits)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(waits[len(waits)*99/100].Milliseconds()), "p99-ms")
	b.ReportMetric(float64(waits[len(waits)-1].Milliseconds()), "max-ms")
	b.ReportMetric(float64(after.LastDuration.Milliseconds()), "round-ms")
}

// BenchmarkChange is one update among 10,000 hosts beside many static names, and
// what cp, sync and mv of the same database cost.
func BenchmarkChange(b *testing.B) {
	for _, static := range []int{1_000, 100_000, 1_000_000} {
		root := b.TempDir()
		writeStatic(b, filepath.Join(root, "data"), static)
		b.Run(fmt.Sprint(static), func(b *testing.B) {
			target := newTarget(b, fileOptions(root))
			benchmarkTarget(b, target, 10_000)
			target.Close()
		})
		b.Run(fmt.Sprintf("%d/copy", static), func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command("sh", "-c", "cp data.cdb x && sync x && mv x data.cdb")
				cmd.Dir = root
				if err := cmd.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
