// Command follow measures gateways and their followers on one machine, and prints a
// table in Markdown:
//
//	go run ./test/follow [-hosts 1000000] [-seconds 10]
//
// The followers whose lag is "served" are real ones, with a data.cdb of their own. Those
// that only receive are streams of this program, which acknowledge and store nothing.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"time"
)

func main() {
	hosts := flag.Int("hosts", 1_000_000, "hosts of the gateway")
	seconds := flag.Int("seconds", 10, "how long updates go on")
	only := flag.String("only", "", "one of: two, many")
	flag.Parse()
	folder, err := os.MkdirTemp("", "follow")
	check(err)
	defer os.RemoveAll(folder)
	m := &machine{folder: folder}
	m.build()
	fmt.Println("| what | figure |\n| --- | --- |")
	if *only != "many" {
		two(m, *hosts, time.Duration(*seconds)*time.Second)
	}
	if *only != "two" {
		many(m, 50, 1000, time.Duration(*seconds)*time.Second)
	}
}

func row(what, format string, args ...any) {
	fmt.Printf("| %s | %s |\n", what, fmt.Sprintf(format, args...))
}

// two measures a gateway of many hosts, and a follower of all of them.
func two(m *machine, hosts int, duration time.Duration) {
	g := m.gateway("gate", 1, hosts)
	defer g.stop()
	load, key := g.authorize("--ttl=300", ".z0.example.com"), g.authorize("--follow", ".z0.example.com")
	alone := g.resident()
	f := m.follower("two", g, ".z0.example.com")
	defer f.stop()
	f.await(`msg=(serving)`)
	row(fmt.Sprintf("first whole of %d hosts, served", hosts), "%.2f s", time.Since(f.started).Seconds())
	row("most memory of the follower by then", "%d MiB", f.peak())
	row("memory: gateway alone, with the follower; follower", "%d MiB, %d MiB; %d MiB", alone, g.resident(), f.resident())

	reader := listen(g, key, "follow")
	reader.awaitEnd(0)
	row("received by one that stores nothing, bytes", "%.1f MB, %.0f a host", float64(reader.bytes())/1e6, float64(reader.bytes())/float64(hosts))
	before := reader.bytes()
	received, served, good, sent := paced(g, load, 1, hosts, 1000, duration, []*stream{reader}, f)
	row("1,000 updates/s: received, p50, p99", "%s", percentiles(received))
	row("the same, served by the follower's data.cdb, p50, p99", "%s", percentiles(served))
	row("the same, good by the gateway, p50, p99", "%s", percentiles(good))
	row("bytes per change", "%.0f", float64(reader.bytes()-before)/float64(sent))
	store, revision := reader.close()

	paced(g, load, 1, hosts, 3000, time.Second, nil, nil)
	again := listen(g, key, fmt.Sprintf("follow %s %d", store, revision))
	again.awaitEnd(revision)
	row("resumed after 3,000 missed changes", "%.0f KB", float64(again.bytes())/1e3)
	again.close()

	changed := g.resident()
	var more []*stream
	for range 3 { // with the real one there are four
		s := listen(g, key, "follow")
		s.awaitEnd(0)
		more = append(more, s)
	}
	row("gateway after these updates; with four followers", "%d MiB, %d MiB", changed, g.resident())
	for _, s := range more {
		s.close()
	}
}

// many measures a gateway with many followers, of zones of their own.
func many(m *machine, followers, hosts int, duration time.Duration) {
	g := m.gateway("many", followers, hosts)
	defer g.stop()
	var streams []*stream
	load := g.authorize("--ttl=300", ".example.com")
	began := g.ticks()
	paced(g, load, followers, hosts, 100, duration, nil, nil)
	row(fmt.Sprintf("100 updates/s among %d hosts, no follower: gateway's CPU", followers*hosts), "%.1f%% of a processor", float64(g.ticks()-began)/duration.Seconds())
	for i := range followers {
		key := g.authorize("--follow", fmt.Sprintf(".z%d.example.com", i))
		s := listen(g, key, "follow")
		s.awaitEnd(0)
		streams = append(streams, s)
	}
	rest := g.cpu(duration / 2)
	began = g.ticks()
	received, _, good, _ := paced(g, load, followers, hosts, 100, duration, streams, nil)
	busy := float64(g.ticks()-began) / duration.Seconds()
	row(fmt.Sprintf("%d followers of %d hosts each: gateway's CPU at rest", followers, hosts), "%.1f%%", rest*100)
	row("the same, 100 updates/s: CPU", "%.1f%%", busy)
	row("the same: received, p50, p99", "%s", percentiles(received))
	row("the same: good by the gateway, p50, p99", "%s", percentiles(good))
	row("the same: memory", "%d MiB", g.resident())
	for _, s := range streams {
		s.close()
	}
}

func percentiles(took []time.Duration) string {
	if len(took) == 0 {
		return "none"
	}
	slices.Sort(took)
	ms := func(part int) float64 { return float64(took[(len(took)-1)*part/100].Microseconds()) / 1000 }
	return fmt.Sprintf("%.1f ms, %.1f ms", ms(50), ms(99))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
