package authkeys

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
)

// keysOf is a file of n lines.
func keysOf(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "restrict,command=\"dnsgate allow host%d.example.com\" %s user%d\n", i, numberedKey(i), i)
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	content := keysOf(100_000)
	b.ReportAllocs()
	for b.Loop() {
		set, faults := Parse("keys", content, testNow)
		if len(set.Grants()) != 100_000 || len(faults) > 0 {
			b.Fatal(len(set.Grants()), faults)
		}
	}
}

// BenchmarkSetMemory reports the heap that a set of 100,000 keys keeps.
func BenchmarkSetMemory(b *testing.B) {
	content := keysOf(100_000)
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		set, _ := Parse("keys", content, testNow)
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(set)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/100_000, "B/key")
}

func BenchmarkLookup(b *testing.B) {
	set, _ := Parse("keys", keysOf(100_000), time.Now())
	key := mustKey(b, numberedKey(77_777))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := set.Lookup(key, netip.MustParseAddr("192.0.2.1"), testNow); err != nil {
			b.Fatal(err)
		}
	}
}
