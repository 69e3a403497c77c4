package boltstore

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dnsgate/internal/records"
	"dnsgate/test/storetest"
)

// BenchmarkCommit changes one host in each transaction, durably, in stores of
// two sizes and by several writers at once.
func BenchmarkCommit(b *testing.B) {
	for _, hosts := range []int{1_000, 1_000_000} {
		folder := b.TempDir()
		s := filledStore(b, folder, hosts)
		for _, writers := range []int{1, 8, 64, 512} {
			b.Run(fmt.Sprintf("hosts=%d/writers=%d", hosts, writers), func(b *testing.B) {
				benchmarkCommit(b, s, hosts, writers)
			})
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if hosts == 1_000_000 {
			b.Run(fmt.Sprintf("hosts=%d/open", hosts), func(b *testing.B) {
				for b.Loop() {
					if err := openStore(b, folder).Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func benchmarkCommit(b *testing.B, s *Store, hosts, writers int) {
	var begun atomic.Int64
	var writing sync.WaitGroup
	began := time.Now()
	for writer := range writers {
		writing.Go(func() {
			for i := writer; begun.Add(1) <= int64(b.N); i = (i + writers) % (hosts - hosts%writers) {
				h := storetest.Read(b, s, benchName(i))
				h.Records = []records.Record{{Addr: benchAddress(uint32(time.Now().UnixNano()))}}
				if _, err := s.Commit(b.Context(), storetest.Txn(h)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	writing.Wait()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "commits/s")
}

// filledStore makes a store of so many hosts in folder.
func filledStore(b *testing.B, folder string, hosts int) *Store {
	s := openStore(b, folder)
	const most = 10_000 // in a transaction
	for from := 0; from < hosts; from += most {
		var t []records.Host
		for i := from; i < min(from+most, hosts); i++ {
			t = append(t, records.Host{Name: benchName(i), TTL: 300, Records: []records.Record{{Addr: benchAddress(uint32(i))}}})
		}
		storetest.Commit(b, s, t...)
	}
	return s
}

func benchName(i int) records.Name { return records.Name(fmt.Sprintf("host%d.dyn.example.com", i)) }

func benchAddress(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}
