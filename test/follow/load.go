package main

import (
	"bufio"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"dnsgate/internal/tinydns"

	"golang.org/x/crypto/ssh"
)

// paced sends so many updates a second through one batch, of the zones in turn, each of
// another host and with another address. It returns how long after each was sent it was
// received by the reader of its zone, served (every fiftieth), and answered.
func paced(g *daemon, key ssh.Signer, zones, hosts, rate int, duration time.Duration, readers []*stream, f *daemon) (received, served, good []time.Duration, sent int) {
	client, in, out := begin(g, key, "update -")
	defer client.Close()
	count := int(duration.Seconds() * float64(rate))
	at := make([]time.Time, count)
	answered := make([]time.Time, count)
	var probes sync.WaitGroup
	var mu sync.Mutex
	done := make(chan struct{})
	go func() {
		defer close(done)
		replies := bufio.NewScanner(out)
		for i := range answered {
			if !replies.Scan() || !strings.HasPrefix(replies.Text(), "good ") {
				check(fmt.Errorf("the gateway answers %q", replies.Text()))
			}
			answered[i] = time.Now()
		}
	}()
	serial++
	address := func(i int) netip.Addr {
		return netip.AddrFrom4([4]byte{100 + byte(serial), byte(i >> 16), byte(i >> 8), byte(i)})
	}
	next := time.Now()
	for i := range count {
		time.Sleep(time.Until(next))
		next = next.Add(time.Second / time.Duration(rate))
		host := fmt.Sprintf("h%d.z%d.example.com", i/zones%hosts, i%zones)
		at[i] = time.Now()
		fmt.Fprintf(in, "%s %s\n", host, address(i))
		if f != nil && i%50 == 0 {
			probes.Go(func() {
				for !f.serves(host, address(i).String()) {
					time.Sleep(2 * time.Millisecond)
				}
				mu.Lock()
				served = append(served, time.Since(at[i]))
				mu.Unlock()
			})
		}
	}
	in.Close()
	<-done
	probes.Wait()
	for i := range at {
		good = append(good, answered[i].Sub(at[i]))
		if len(readers) > 0 {
			received = append(received, readers[i%zones].when(address(i).String()).Sub(at[i]))
		}
	}
	return received, served, good, count
}

// serial makes the addresses of each load others.
var serial int

// serves reports whether the daemon's data.cdb has an address of a host.
func (d *daemon) serves(host, address string) bool {
	var said strings.Builder
	err := tinydns.Get(&said, d.path("root"), []string{"a", host}, time.Now())
	return err == nil && strings.Contains(said.String(), " A "+address+"\n")
}

// when waits until an address has come.
func (s *stream) when(address string) time.Time {
	for {
		s.mu.Lock()
		at, came := s.came[address]
		s.mu.Unlock()
		if came {
			return at
		}
		time.Sleep(time.Millisecond)
	}
}
