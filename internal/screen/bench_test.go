package screen

import (
	"fmt"
	"testing"
	"time"
)

// manyHosts are n hosts by name.
func manyHosts(n int) []Host {
	hosts := make([]Host, n)
	for i := range hosts {
		hosts[i] = Host{fmt.Sprintf("host%06d.example.com", i), fmt.Sprintf("203.0.113.%d", i%256), noon.Add(-time.Duration(i*7919%n) * time.Second),
			noon, "router", "198.51.100.1"}
	}
	return hosts
}

// BenchmarkFilter is one more letter of a filter among 100,000 hosts, and the frame.
func BenchmarkFilter(b *testing.B) {
	f := example()
	f.hosts = manyHosts(100_000)
	m := show(b, f, Size{80, 24}, "/")
	for b.Loop() {
		m.Update(keys{{name: "9", char: '9'}})
		m.View()
		m.pane().setFilter("")
	}
}

// BenchmarkSort sorts 100,000 hosts by when they changed.
func BenchmarkSort(b *testing.B) {
	f := example()
	f.hosts = manyHosts(100_000)
	m := show(b, f, Size{80, 24})
	for b.Loop() {
		m.hosts.sort, m.hosts.order = 1, m.hosts.order[:0]
		m.Update(keys{{name: "s", char: 's'}})
		m.View()
	}
}

// BenchmarkSecond is what a screen costs that nobody touches.
func BenchmarkSecond(b *testing.B) {
	f := example()
	f.hosts = manyHosts(100_000)
	m := show(b, f, Size{80, 24})
	for b.Loop() {
		f.now.Time = f.now.Time.Add(time.Second)
		m.loadAgain[tabHosts] = f.now.Time.Add(time.Hour)
		m.Update(f.now)
		m.View()
	}
}
