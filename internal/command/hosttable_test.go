package command

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"dnsgate/internal/records"
	"dnsgate/internal/screen"
)

// commitHosts gives hosts of these numbers an address each; without one they lose
// their records.
func commitHosts(t testing.TB, g *Interpreter, numbers []int, address string) {
	t.Helper()
	names := make([]records.Name, len(numbers))
	for i, n := range numbers {
		names[i] = records.Name(fmt.Sprintf("host%06d.example.com", n))
	}
	hosts, err := g.Store.Hosts(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	txn := records.Txn{Cause: records.Cause{Time: time.Now(), Session: time.Now().UnixMicro(), Key: "SHA256:router", Source: "198.51.100.1"}}
	for _, h := range hosts {
		h.TTL, h.Records = 300, nil
		if address != "" {
			h.Records = []records.Record{{Addr: netip.MustParseAddr(address)}}
		}
		txn.Hosts = append(txn.Hosts, h)
	}
	if _, err := g.Store.Commit(t.Context(), txn); err != nil {
		t.Fatal(err)
	}
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// A table into which changed hosts were put is the one that is made of all hosts.
func TestHostTable(t *testing.T) {
	g, _ := newGateway(t)
	commitHosts(t, g, upTo(40), "203.0.113.1")
	var table hostTable
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 60 {
		before, err := table.rows(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		kept := slices.Clone(before)
		for range random.IntN(3) {
			address := fmt.Sprintf("203.0.113.%d", random.IntN(250))
			if random.IntN(3) == 0 {
				address = ""
			}
			commitHosts(t, g, random.Perm(60)[:1+random.IntN(50)], address)
		}
		table.changed = turn{} // it is due
		rows, err := table.rows(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		var fresh hostTable
		want, err := fresh.rows(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(rows, want) {
			t.Fatalf("round %d:\n%v\nwant\n%v", round, rows, want)
		}
		if !slices.Equal(before, kept) {
			t.Fatal("rows that somebody has were changed")
		}
	}
}

// All hosts are read again only if some were heard of meanwhile.
func TestHostTableAtRest(t *testing.T) {
	g, _ := newGateway(t)
	commitHosts(t, g, upTo(3), "203.0.113.1")
	var table hostTable
	read := func() *screen.Host {
		table.changed, table.whole = turn{}, turn{} // both are due
		rows, err := table.rows(t.Context(), g)
		if err != nil || len(rows) != 3 {
			t.Fatal(len(rows), err)
		}
		return &rows[0]
	}
	first := read()
	if read() != first {
		t.Error("it was made again, though nothing happened")
	}
	table.heard.Add(1)
	if read() == first {
		t.Error("it was not made again, though a host was heard of")
	}
}

// BenchmarkHostTable makes the table of 100,000 hosts, and again after some changed.
func BenchmarkHostTable(b *testing.B) {
	g, _ := newGateway(b)
	commitHosts(b, g, upTo(screen.MaxHosts), "203.0.113.1")
	for name, changed := range map[string]int{"whole": -1, "1000 changed": 1000} {
		b.Run(name, func(b *testing.B) {
			var table hostTable
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				if changed >= 0 {
					if i == 0 {
						table.rows(b.Context(), g)
					}
					commitHosts(b, g, upTo(changed), fmt.Sprintf("203.0.113.%d", 1+i%250))
					table.changed = turn{}
				} else {
					table.drop()
				}
				b.StartTimer()
				if rows, err := table.rows(b.Context(), g); err != nil || len(rows) != screen.MaxHosts {
					b.Fatal(len(rows), err)
				}
			}
		})
	}
}
