// Command loadtest measures a dnsgate binary from outside, beside the set-ups
// that it replaces and a server that does nothing, and prints tables for
// docs/performance.md. It trusts its caller, talks to loopback only, and keeps
// everything in a temporary folder. Run it with scripts/gateway-performance.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"
)

// options are what the caller may choose.
type options struct {
	dnsgate string        // the binary to measure
	before  string        // another one to compare with; "": none
	folder  string        // on the disk to measure
	rounds  int           // of which the medians are told
	each    time.Duration // of one server under load, in one round
	names   int           // hosts that change
	many    int           // static names, keys and lines where there are many
	hosts   int           // host records of the large store
	idle    int           // connections held open
	kex     string        // the client's key exchange
	clients string        // how many at once, apart by commas
	only    string        // servers to measure; "": all
	quiet   float64       // share of the CPUs that others may use
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("loadtest: ")
	if len(os.Args) > 1 && os.Args[1] == "floor" {
		log.Fatal(runFloor(os.Args[2:]))
	}
	var o options
	flag.StringVar(&o.dnsgate, "dnsgate", "", "the dnsgate `binary` to measure")
	flag.StringVar(&o.before, "before", "", "an earlier dnsgate `binary` to compare with")
	flag.StringVar(&o.folder, "folder", os.TempDir(), "where to make a temporary folder")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, of which medians are told")
	flag.DurationVar(&o.each, "each", 2*time.Second, "how long a server is under load, in each round")
	flag.IntVar(&o.names, "names", 100, "hosts that change")
	flag.IntVar(&o.many, "many", 100_000, "static names, keys and batch lines")
	flag.IntVar(&o.hosts, "hosts", 1_000_000, "host records of the large store")
	flag.IntVar(&o.idle, "idle", 1000, "connections that are held open")
	flag.StringVar(&o.kex, "kex", "curve25519-sha256", "the clients' key exchange; that of Debian 12's ssh is the default")
	flag.StringVar(&o.clients, "clients", "1,8,32", "how many clients at once, for the section rates")
	flag.StringVar(&o.only, "only", "", "`words` of the servers to measure: floor,dnsgate,sshd,dropbear,named; all without")
	flag.Float64Var(&o.quiet, "quiet", 0.1, "share of the CPUs that others may use; else a measurement is made again, up to 5 times")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: loadtest -dnsgate BINARY [flags] [%s]...\n", strings.Join(sectionNames(), "|"))
		flag.PrintDefaults()
	}
	flag.Parse()
	if o.dnsgate == "" || o.rounds < 1 || o.names < 32 {
		flag.Usage()
		os.Exit(64)
	}
	if err := run(o, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

// section is one table of the report.
type section struct {
	name string
	run  func(*bench) error
}

var sections = []section{
	{"rates", (*bench).rates},
	{"sizes", (*bench).sizes},
	{"once", (*bench).once},
	{"held", (*bench).held},
	{"memory", (*bench).memory},
	{"screens", (*bench).screens},
}

func sectionNames() []string {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	return names
}

// run prints the wanted sections, or all.
func run(o options, wanted []string) (err error) {
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	known := make(map[string]section)
	for _, s := range sections {
		known[s.name] = s
	}
	if len(wanted) == 0 {
		wanted = sectionNames()
	}
	b.describe()
	for _, name := range wanted {
		s, ok := known[name]
		if !ok {
			return fmt.Errorf("no section %q", name)
		}
		if err := s.run(b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
