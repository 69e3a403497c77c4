package datafile

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/records"
)

// TestTheVersionBeforeBecomesTheNext: while addresses change, two files take
// turns as data.cdb, and only what differs is written. Whatever else happens
// meanwhile, the database is always what tinydns-data makes of the text, and
// what somebody took of an earlier one stays as it was.
func TestTheVersionBeforeBecomesTheNext(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			p := newInPlace(t, seed)
			for range 200 {
				p.disturb(t)
				p.change(t)
			}
			if p.reused < 20 {
				t.Errorf("of 200 databases %d were made of earlier ones", p.reused)
			}
			p.target.Close()
			if left, _ := filepath.Glob(filepath.Join(p.root, ".d*.tmp")); len(left) > 0 {
				t.Errorf("left are %v", left)
			}
		})
	}
}

type inPlace struct {
	root   string
	target *Target
	rng    *rand.Rand
	hosts  map[int]records.Host
	lines  int       // that the operator added
	before [2]uint64 // inodes that data.cdb had last
	reused int
	copies map[string]string // links to earlier databases, and their content
}

func newInPlace(t *testing.T, seed uint64) *inPlace {
	root := t.TempDir()
	write(t, filepath.Join(root, "data"), zone+"+static.example.com:192.0.2.1\n")
	p := &inPlace{root: root, target: newTarget(t, fileOptions(root)), rng: rand.New(rand.NewPCG(seed, 7)),
		hosts: make(map[int]records.Host), copies: make(map[string]string)}
	for i := range manyHosts {
		p.hosts[i] = p.host(i)
	}
	serve(t, p.target, true, values(p.hosts)...)
	return p
}

// manyHosts are more than are compiled together.
const manyHosts = 300

func (p *inPlace) host(i int) records.Host {
	return hostWith(fmt.Sprintf("host%d.example.com", i), fmt.Sprintf("203.0.113.%d", p.rng.IntN(256)))
}

func (p *inPlace) path(name string) string { return filepath.Join(p.root, name) }

// disturb does, now and then, what an operator may do at any time.
func (p *inPlace) disturb(t *testing.T) {
	cdb := p.path("data.cdb")
	switch p.rng.IntN(80) {
	case 0: // edits a source
		p.lines++
		f, err := os.OpenFile(p.path("data"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "+line%d.example.com:192.0.2.2\n", p.lines)
		f.Close()
	case 1: // keeps a database
		kept := p.path(fmt.Sprintf("kept%d", len(p.copies)))
		if err := os.Link(cdb, kept); err != nil {
			t.Fatal(err)
		}
		p.copies[kept] = read(t, kept)
	case 2: // breaks a source for a moment, so that a publication fails
		data := read(t, p.path("data"))
		write(t, p.path("data"), data+"?\n")
		p.fail(t)
		write(t, p.path("data"), data)
	case 3: // puts another database there
		write(t, p.path("other"), "not a database, but as long as you like")
		if err := os.Rename(p.path("other"), cdb); err != nil {
			t.Fatal(err)
		}
	case 4: // takes it away
		os.Remove(cdb)
	case 5: // asks for all
		serve(t, p.target, true, values(p.hosts)...)
	case 6: // takes the other file away
		os.Remove(p.path("dnsgate"))
	case 7: // changes it
		data := []byte(read(t, p.path("dnsgate")))
		data[p.rng.IntN(len(data))] ^= 1
		write(t, p.path("dnsgate"), string(data))
	case 8: // puts a folder in the place of the database, so that it cannot be replaced
		os.Remove(cdb)
		if err := os.Mkdir(cdb, 0o755); err != nil {
			t.Fatal(err)
		}
		p.fail(t)
		os.Remove(cdb)
	}
	time.Sleep(time.Millisecond)
}

// fail publishes a change, which must fail.
func (p *inPlace) fail(t *testing.T) {
	t.Helper()
	p.hosts[0] = p.host(0)
	if err := p.target.Publish(context.Background(), []records.Host{p.hosts[0]}, false); err == nil {
		t.Error("it was published")
	}
}

func values(hosts map[int]records.Host) (all []records.Host) {
	for _, h := range hosts {
		all = append(all, h)
	}
	return all
}

// change changes some addresses; seldom, it adds or removes a host.
func (p *inPlace) change(t *testing.T) {
	t.Helper()
	var changed []records.Host
	for range 1 + p.rng.IntN(4) {
		i := p.rng.IntN(manyHosts)
		h := p.host(i)
		switch old, known := p.hosts[i]; {
		case known && p.rng.IntN(60) == 0:
			h.Records = nil
			delete(p.hosts, i)
		case known && len(old.Records) > 0 || len(p.hosts) < 3 || p.rng.IntN(30) == 0:
			p.hosts[i] = h
		default:
			continue
		}
		changed = append(changed, h)
	}
	serve(t, p.target, false, changed...)
	checkDatabase(t, p.root, "data", "dnsgate")
	at, err := durable.StampAt(p.path("data.cdb"))
	if err != nil {
		t.Fatal(err)
	}
	if at.Ino == p.before[0] && at.Ino != p.before[1] {
		p.reused++
	}
	p.before = [2]uint64{p.before[1], at.Ino}
	for kept, content := range p.copies {
		if read(t, kept) != content {
			t.Fatalf("%s has changed", kept)
		}
	}
}
