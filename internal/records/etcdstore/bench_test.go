package etcdstore

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dnsgate/internal/records"
	"dnsgate/internal/records/boltstore"
	"dnsgate/internal/records/memory"
	"dnsgate/test/etcd"
	"dnsgate/test/storetest"
)

// BenchmarkCommit compares the stores: 32 writers with a host each, one change
// at a time. cpu-us/op is the gateway's own, without etcd's nodes.
func BenchmarkCommit(b *testing.B) {
	b.Run("bolt", func(b *testing.B) {
		s, err := boltstore.Open(b.TempDir(), slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		benchmarkCommit(b, s)
	})
	b.Run("etcd", func(b *testing.B) {
		s := openStore(b, options(b, etcd.Start(b, 3)))
		defer s.Close()
		benchmarkCommit(b, s)
	})
}

func benchmarkCommit(b *testing.B, s records.Store) {
	const writers = 32
	var writer atomic.Int64
	before := cpuTime(b)
	b.SetParallelism(writers / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		name := records.Name(fmt.Sprintf("h%d.example.com", writer.Add(1)))
		for i := 0; p.Next(); i++ {
			hosts, err := s.Hosts(context.Background(), []records.Name{name})
			if err != nil {
				b.Error(err)
			}
			hosts[0].TTL, hosts[0].Records = 300, storetest.Addresses(fmt.Sprintf("192.0.2.%d", i%250+1))
			if _, err := s.Commit(context.Background(), storetest.Txn(hosts...)); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
}

func cpuTime(b testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestSize measures a start with DNSGATE_ETCD_HOSTS hosts, which a restore put
// there: what docs/scale.md tells.
func TestSize(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("DNSGATE_ETCD_HOSTS"))
	if err != nil {
		t.Skip("DNSGATE_ETCD_HOSTS is not set")
	}
	cluster := etcd.Start(t, 1, "--quota-backend-bytes=8000000000")
	o := options(t, cluster)
	var text bytes.Buffer
	b := records.NewBackupWriter(&text)
	for i := range n {
		h := records.Host{Name: records.Name(fmt.Sprintf("h%07d.dyn.example.com", i)), Revision: uint64(i + 1), TTL: 300}
		h.Records = storetest.Addresses(fmt.Sprintf("198.%d.%d.%d", 18+i>>16&1, i>>8&255, i&255|1), fmt.Sprintf("2001:db8::%x:1", i&0xffff))
		if err := b.Write(records.StateLine(h)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(uint64(n)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := Restore(t.Context(), o, &text); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d hosts restored in %v", n, time.Since(began).Round(time.Millisecond))
	text = bytes.Buffer{}
	before := heap()
	began = time.Now()
	s := openStore(t, o)
	defer s.Close()
	took, after := time.Since(began), heap()
	t.Logf("read in %v; %d B of memory a host; a sealed one has %d B", took.Round(time.Millisecond), (after-before)/uint64(n),
		len(memory.SealHost(s.Entry("h0000001.dyn.example.com"))))
	t.Logf("%s", cluster.Ctl(t, "endpoint", "status", "--write-out=table"))
	t.Logf("etcd's resident memory: %d B a host", cluster.Nodes[0].Resident(t)/n)
	if s.Len() != n {
		t.Errorf("%d hosts", s.Len())
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
