package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bench makes servers and measures them.
type bench struct {
	options
	root    string // temporary
	folders int
}

func newBench(o options) (*bench, error) {
	keyExchange = o.kex
	var err error
	for _, binary := range []*string{&o.dnsgate, &o.before} {
		if *binary == "" {
			continue
		}
		if *binary, err = filepath.Abs(*binary); err != nil {
			return nil, err
		}
	}
	root, err := os.MkdirTemp(o.folder, "dnsgate-loadtest-")
	return &bench{options: o, root: root}, err
}

func (b *bench) close() error { return os.RemoveAll(b.root) }

// folder makes a new one.
func (b *bench) folder() (string, error) {
	b.folders++
	path := filepath.Join(b.root, fmt.Sprint(b.folders))
	return path, os.Mkdir(path, 0o755)
}

func (b *bench) scene(static, unused int) (*scene, error) {
	folder, err := b.folder()
	if err != nil {
		return nil, err
	}
	return newScene(folder, b.names, static, unused)
}

// describe says what was measured on what.
func (b *bench) describe() {
	version, _ := exec.Command(b.dnsgate, "version").Output()
	load, _ := os.ReadFile("/proc/loadavg")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	fmt.Printf("%s, %d CPUs shared with the clients, Linux %s, %s; load before %s; %d rounds of %v, medians; clients: %s\n",
		strings.TrimSpace(string(version)), runtime.NumCPU(), strings.TrimSpace(string(kernel)), runtime.Version(),
		strings.Join(strings.Fields(string(load))[:1], " "), b.rounds, b.each, b.kex)
}

// starter is how one of the servers comes up.
type starter struct {
	name  string // for -only
	needs string // a program; the server is left out without it
	start func(s *scene, folder string) (*server, error)
}

// startAll starts what is there, all on one scene.
func (b *bench) startAll(s *scene, starters ...starter) (servers []*server, stop func(), err error) {
	stop = func() {
		for _, srv := range servers {
			srv.stop()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	for _, st := range starters {
		if b.only != "" && !slices.Contains(strings.Split(b.only, ","), st.name) {
			continue
		}
		if _, missing := exec.LookPath(st.needs); st.needs != "" && missing != nil {
			fmt.Printf("(left out: %v)\n", missing)
			continue
		}
		folder, err := b.folder()
		if err != nil {
			return servers, stop, err
		}
		srv, err := st.start(s, folder)
		if srv == nil && err == nil {
			continue // not wanted
		}
		if srv != nil {
			servers = append(servers, srv)
		}
		if err != nil {
			return servers, stop, err
		}
	}
	return servers, stop, nil
}

// measureAll measures in turns, so that what else the machine does meets all.
func (b *bench) measureAll(servers []*server, clients int) ([]load, error) {
	loads := make([][]load, len(servers))
	for range b.rounds {
		for i, srv := range servers {
			l, err := measureQuietly(srv, clients, b.each, b.quiet)
			if err != nil {
				return nil, err
			}
			loads[i] = append(loads[i], l)
		}
	}
	var medians []load
	for _, l := range loads {
		medians = append(medians, medianLoad(l))
	}
	return medians, nil
}

// rates: one connection for each update.
func (b *bench) rates() error {
	s, err := b.scene(0, 0)
	if err != nil {
		return err
	}
	servers, stop, err := b.startAll(s,
		starter{"floor", "", startFloor}, starter{"dnsgate", "", b.startGateway}, starter{"before", "", b.startBefore},
		starter{"sshd", "tinydns-data", b.startSSHD}, starter{"dropbear", "dropbear", b.startDropbear}, starter{"named", "named", b.startBIND})
	if err != nil {
		return err
	}
	defer stop()
	if i := slices.IndexFunc(servers, func(s *server) bool { return s.update == nil }); i >= 0 {
		servers = slices.Replace(servers, i, i+1, servers[i].byLibrary(), servers[i].byNsupdate())
	}
	for word := range strings.SplitSeq(b.clients, ",") {
		clients, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		loads, err := b.measureAll(servers, clients)
		if err != nil {
			return err
		}
		t := newTable(fmt.Sprintf("%d names, a connection per update, %d clients", b.names, clients),
			"server", "updates/s", "p50 ms", "p99 ms", "server CPU ms per update", "times the floor")
		for i, l := range loads {
			t.add(servers[i].name, count(l.rate), ms(l.p50), ms(l.p99), ms(l.cpu),
				fmt.Sprintf("%.2f", float64(l.cpu)/float64(loads[0].cpu)))
		}
		t.print()
		remarks(servers, loads, b.quiet)
	}
	return nil
}

// remarks tells what the figures of a table suffered from.
func remarks(servers []*server, loads []load, quiet float64) {
	for i, l := range loads {
		if l.others > quiet {
			fmt.Printf("%s: others used %.0f%% of the CPUs meanwhile.\n", servers[i].name, l.others*100)
		}
		if l.failed > 0 {
			fmt.Printf("%s refused %d updates, which were sent again.\n", servers[i].name, l.failed)
		}
	}
}

// sizes: the same among many static names, and among many keys.
func (b *bench) sizes() error {
	const clients = 8
	sizes := []struct{ static, unused int }{{0, 0}, {b.many, 0}, {0, b.many}}
	t := newTable(fmt.Sprintf("many static names, many keys; a connection per update, %d clients", clients),
		"server", "static names", "keys", "updates/s", "p50 ms", "p99 ms", "server CPU ms per update", "times none")
	for _, kind := range []starter{{"dnsgate", "", b.startGateway},
		{"sshd", "tinydns-data", b.startSSHD}, {"dropbear", "dropbear", b.startDropbear}} {
		var servers []*server // of one kind, all sizes, so that they are measured in turns
		stop := func() {
			for _, srv := range servers {
				srv.stop()
			}
		}
		for _, size := range sizes {
			s, err := b.scene(size.static, size.unused)
			if err != nil {
				stop()
				return err
			}
			one, _, err := b.startAll(s, kind)
			if servers = append(servers, one...); err != nil {
				stop()
				return err
			}
		}
		loads, err := b.measureAll(servers, clients)
		stop()
		if err != nil {
			return err
		}
		for i, l := range loads {
			t.add(servers[i].name, fmt.Sprint(sizes[i].static), fmt.Sprint(sizes[i].unused+b.names),
				count(l.rate), ms(l.p50), ms(l.p99), ms(l.cpu), fmt.Sprintf("%.2f", float64(l.cpu)/float64(loads[0].cpu)))
		}
	}
	t.print()
	return nil
}

// once: what a person or a router's hook sees, with OpenSSH's client.
func (b *bench) once() error {
	s, err := b.scene(0, 0)
	if err != nil {
		return err
	}
	servers, stop, err := b.startAll(s, starter{"floor", "", startFloor}, starter{"dnsgate", "", b.startGateway},
		starter{"sshd", "tinydns-data", b.startSSHD}, starter{"dropbear", "dropbear", b.startDropbear})
	if err != nil {
		return err
	}
	defer stop()
	t := newTable("one ssh command (OpenSSH's client), wall time", "server", "median ms", "slowest tenth ms")
	took := make([][]time.Duration, len(servers))
	for range 10 * b.rounds {
		for i, srv := range servers {
			began := time.Now()
			if err := srv.openssh("update "+s.nextAddress(), nil); err != nil {
				return err
			}
			took[i] = append(took[i], time.Since(began))
		}
	}
	for i, srv := range servers {
		t.add(srv.name, ms(median(took[i])), ms(took[i][len(took[i])*9/10]))
	}
	t.print()
	return nil
}
