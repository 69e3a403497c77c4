package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/tinydns"
)

// owners is how many dynamic names there are.
const owners = 10_000

// compareChanges prints what one change among names static ones takes: in a
// Builder, with cp, with tinydyndns-update, and with tinydns-data. Each
// database becomes durable and is renamed; only tinydyndns-update's does not.
func compareChanges(dir string, runs, names int) error {
	me, err := self()
	if err != nil {
		return err
	}
	if _, err := measure(dir, me, "generate", "plus", strconv.Itoa(names), "static"); err != nil {
		return err
	}
	defer os.Remove(filepath.Join(dir, "static"))
	d := &daemon{path: filepath.Join(dir, "data.cdb")}
	if err := d.start(filepath.Join(dir, "static")); err != nil {
		return err
	}
	durable.Step = d.step

	kinds := []struct {
		name   string
		change func(i int) tinydns.Owner
	}{
		{"change", func(i int) tinydns.Owner { return owner(i*37%owners, byte(i+1)) }},
		{"add", func(i int) tinydns.Owner { return owner(owners+i*31%owners, 1) }},
		{"remove", func(i int) tinydns.Owner { return tinydns.Owner{Name: owner(owners-1-i, 0).Name} }},
	}
	var copies, updates, compiles []cost
	own, sync := make([][]cost, len(kinds)), make([][]cost, len(kinds))
	for i := range runs {
		for k, kind := range kinds {
			c, fsyncs, err := d.publish(kind.change(i))
			if err != nil {
				return err
			}
			own[k] = append(own[k], c)
			sync[k] = append(sync[k], cost{wall: fsyncs})
			if c, err = measure(dir, "sh", "-c", "cp data.cdb x; sync x; mv x y"); err != nil {
				return err
			}
			copies = append(copies, c)
		}
		c, err := measure(dir, "tinydyndns-update", fmt.Sprintf("dyn%d.example.com", i*37%owners), fmt.Sprintf("10.9.%d.2", i))
		if err != nil {
			return err
		}
		updates = append(updates, c)
	}
	places, err := d.inPlace(runs)
	if err != nil {
		return err
	}
	held := memory()
	if err := d.load(); err != nil { // as after a change of the data file
		return err
	}
	reloaded := memory()
	for range min(runs, 3) {
		c, err := d.compare(dir)
		if err != nil {
			return err
		}
		compiles = append(compiles, c)
	}

	base := median(copies).wall
	row := func(what string, c cost, syncs string) {
		fmt.Printf("| %d | %s | %s | %s | %s | %.2f |\n", names, what, milliseconds(c.wall), syncs,
			milliseconds(c.cpu), float64(c.wall)/float64(base))
	}
	for k, kind := range kinds {
		row("Builder: "+kind.name, median(own[k]), milliseconds(median(sync[k]).wall))
	}
	row("Builder: change, in place", median(places), "")
	row("cp; sync; mv", median(copies), "")
	row("tinydyndns-update", median(updates), "none")
	row("tinydns-data", median(compiles), "")
	info, err := os.Stat(d.path)
	if err != nil {
		return err
	}
	fmt.Printf("| %d | memory: data.cdb %d MiB, held %s, at most %s, after reloading the static names %s MiB | | | | |\n",
		names, info.Size()>>20, mebibytes(held.now), mebibytes(held.most), mebibytes(reloaded.most))
	return nil
}

// owner is dynamic name i with an address that ends in last.
func owner(i int, last byte) tinydns.Owner {
	ip := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), last})
	return tinydns.Owner{Name: fmt.Sprintf("dyn%d.example.com", i), TTL: 60, Values: []tinydns.Value{{Addr: ip}}}
}

// daemon does what dnsgate's publisher does at each change.
type daemon struct {
	builder tinydns.Builder
	static  string
	path    string
	serial  uint32

	last   time.Time // of the step before
	fsyncs time.Duration
}

// load compiles the static names, while it holds those it has.
func (d *daemon) load() error {
	f, err := os.Open(d.static)
	if err != nil {
		return err
	}
	defer f.Close()
	part, err := tinydns.Encode(d.static, f, tinydns.Stock)
	if err != nil {
		return err
	}
	d.builder.SetSources([]*tinydns.Part{part}, nil)
	return nil
}

func (d *daemon) start(static string) error {
	d.static = static
	if err := d.load(); err != nil {
		return err
	}
	all := make([]tinydns.Owner, owners)
	for i := range all {
		all[i] = owner(i, 1)
	}
	return d.builder.Apply(all)
}

// step adds up the time between the steps that a sync is between.
func (d *daemon) step(name, _ string) {
	now := time.Now()
	if name == durable.Synced || name == durable.FolderSynced {
		d.fsyncs += now.Sub(d.last)
	}
	d.last = now
}

// publish applies one change and replaces the database.
func (d *daemon) publish(change tinydns.Owner) (c cost, fsyncs time.Duration, err error) {
	d.fsyncs = 0
	d.serial++
	cpu, start := processTime(), time.Now()
	if err := d.builder.Apply([]tinydns.Owner{change}); err != nil {
		return c, 0, err
	}
	f, err := durable.Create(d.path, 0o644)
	if err != nil {
		return c, 0, err
	}
	defer f.Abort()
	if err := d.builder.WriteDatabase(f.File, d.serial); err != nil {
		return c, 0, err
	}
	if err := f.Commit(); err != nil {
		return c, 0, err
	}
	return cost{wall: time.Since(start), cpu: processTime() - cpu}, d.fsyncs, nil
}

// inPlace changes addresses as the daemon does while nothing else changes: two
// files take turns as the database, and only what differs is written.
func (d *daemon) inPlace(runs int) (took []cost, err error) {
	pair := durable.NewPair(d.path, 0o644)
	defer pair.Close()
	var before []tinydns.Extent
	for i := range runs + 3 { // at first there is no version that could be reused
		d.serial++
		cpu, start := processTime(), time.Now()
		if err := d.builder.Apply([]tinydns.Owner{owner(i*37%owners, byte(i+100))}); err != nil {
			return nil, err
		}
		changes, known := d.builder.Changes(d.serial)
		var f *durable.File
		if i >= 3 {
			f = pair.Reuse()
		}
		if f != nil && known {
			for _, e := range append(before, changes...) {
				if _, err := f.WriteAt(e.Data, e.At); err != nil {
					return nil, err
				}
			}
		} else if f, err = pair.Create(); err == nil {
			err = d.builder.WriteDatabase(f.File, d.serial)
		}
		if err == nil {
			err = f.Commit()
		}
		if err != nil {
			return nil, err
		}
		if f.Reused() {
			took = append(took, cost{wall: time.Since(start), cpu: processTime() - cpu})
		}
		before = changes
	}
	if len(took) != runs {
		return nil, fmt.Errorf("of %d databases %d were made in place", runs, len(took))
	}
	return took, nil
}

// compare compiles the text of the daemon's database with tinydns-data.
func (d *daemon) compare(dir string) (cost, error) {
	if _, _, err := d.publish(owner(0, 9)); err != nil {
		return cost{}, err
	}
	if err := os.Rename(d.path, filepath.Join(dir, "own.cdb")); err != nil {
		return cost{}, err
	}
	text, err := os.ReadFile(d.static)
	if err != nil {
		return cost{}, err
	}
	var lines strings.Builder
	if err := d.builder.WriteLines(&lines, nil); err != nil {
		return cost{}, err
	}
	data := filepath.Join(dir, "data")
	if err := os.WriteFile(data, append(text, lines.String()...), 0o644); err != nil {
		return cost{}, err
	}
	defer os.Remove(data)
	text = nil
	runtime.GC()
	changed := time.Unix(int64(d.serial), 0)
	if err := os.Chtimes(data, changed, changed); err != nil {
		return cost{}, err
	}
	c, err := measure(dir, "tinydns-data")
	if err != nil {
		return cost{}, err
	}
	return c, same(d.path, filepath.Join(dir, "own.cdb"))
}
