package faults

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/records"
	"dnsgate/internal/records/boltstore"
	"dnsgate/internal/tinydns"
	"dnsgate/test/rig"

	"golang.org/x/crypto/ssh"
)

// TestPowerLoss records what a gateway under load does to its files, and when
// its clients were answered. Then it takes the power away after each step, in
// several ways each, and looks at what is left.
func TestPowerLoss(t *testing.T) {
	rig.Needs(t, "strace")
	for _, write := range []string{"file", "section", "rewrite", "hosts"} {
		t.Run(write, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			g.writeWith(t, write)
			p := newPower(t, g)
			p.published = true
			p.run(t, 12)
			p.replay(t)
		})
	}
}

// TestPowerLossInRestore is the same for dnsgate restore: nothing, or once it
// has said so all that was in the backup.
func TestPowerLossInRestore(t *testing.T) {
	rig.Needs(t, "strace")
	from, g := newGateway(t), newGateway(t)
	from.Start(t)
	p := newPower(t, g)
	for i := range powerHosts {
		host := powerHost(i)
		p.sent[host] = 1
		from.wants(t, from.user, fmt.Sprintf("update %s 192.0.0.1", host), "good")
	}
	backup, _ := from.Say(from.admin, "backup")
	file := filepath.Join(t.TempDir(), "trace")
	words := append(strace(file), rig.Dnsgate(t), "restore", g.Config())
	restore := exec.Command(words[0], words[1:]...)
	restore.Stdin = strings.NewReader(backup)
	if out, err := restore.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for host := range p.sent {
		p.acks = append(p.acks, ack{time.Now(), host, 1})
	}
	p.calls = readTrace(t, file)
	p.replay(t)
}

// TestPowerLossAfterKill takes the power away after the gateway was killed
// between a write and its fsync, and started again: what it then reads may
// not be on disk.
func TestPowerLossAfterKill(t *testing.T) { powerLossAfter(t, "signal=KILL") }

// TestPowerLossAfterFailedSync is the same after an fsync that failed.
func TestPowerLossAfterFailedSync(t *testing.T) { powerLossAfter(t, "error=EIO") }

// powerLossAfter has one of the first syncs after the start end so.
func powerLossAfter(t *testing.T, sync string) {
	rig.Needs(t, "strace")
	for n := 7; n <= 12; n++ { // a new store takes six
		t.Run(fmt.Sprint("fdatasync ", n), func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			p := newPower(t, g)
			p.random = 1
			p.run(t, 8, "-e", fmt.Sprintf("inject=fdatasync:%s:when=%d", sync, n))
			p.run(t, 3)
			p.replay(t)
		})
	}
}

// power is a gateway whose every step is recorded.
type power struct {
	g     *gateway
	disk  *disk
	calls []call
	rng   *rand.Rand

	random    int  // crashes at each step that leave a random part
	published bool // data.cdb, too, holds what was answered

	mu   sync.Mutex
	acks []ack
	sent map[records.Name]int
}

// ack is an answer: host was at its n-th address.
type ack struct {
	at   time.Time
	host records.Name
	n    int
}

func newPower(t *testing.T, g *gateway) *power {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return &power{g: g, random: 3, disk: newDisk(t, g.Dir), sent: make(map[records.Name]int), rng: rand.New(rand.NewPCG(seed, 1))}
}

const powerHosts = 3

func powerHost(i int) records.Name { return records.Name(fmt.Sprintf("n%d.%s", i, zone)) }

// run has the gateway serve some clients, records it, and kills it.
func (p *power) run(t *testing.T, updates int, inject ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace")
	p.g.Start(t, strace(file, inject...)...)
	var clients sync.WaitGroup
	for i := range powerHosts {
		host := powerHost(i)
		clients.Go(func() { p.client(host, updates) })
	}
	clients.Wait()
	p.g.Kill()
	p.calls = append(p.calls, readTrace(t, file)...)
}

// client sends the last address once more, then new ones, until there is no
// answer.
func (p *power) client(host records.Name, updates int) {
	conn, err := p.g.Dial(p.g.user)
	if err != nil {
		return
	}
	defer conn.Close()
	p.mu.Lock()
	n := p.sent[host]
	p.mu.Unlock()
	for ; updates > 0; updates-- {
		if n > 0 && !p.update(conn, host, n) {
			return
		}
		n++
		p.mu.Lock()
		p.sent[host] = n
		p.mu.Unlock()
		if !p.update(conn, host, n) {
			return
		}
	}
}

func (p *power) update(conn *ssh.Client, host records.Name, n int) bool {
	address := netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)})
	out, exit := rig.SayOn(conn, fmt.Sprintf("update %s %s", host, address), "")
	if exit != 0 || !strings.HasPrefix(out, "good ") && !strings.HasPrefix(out, "nochg ") {
		return exit > 0 // answered, and refused
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acks = append(p.acks, ack{time.Now(), host, n})
	return true
}

// replay does all that was recorded, step by step, and crashes before each: by
// then all must be kept that was answered until that moment.
func (p *power) replay(t *testing.T) {
	t.Helper()
	scratch, err := os.MkdirTemp(fast(), "power")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(scratch)
	whole := map[[32]byte]bool{sha256.Sum256(p.disk.at(p.g.Path("root", "data")).content()): true}
	crashed := 0
	for _, c := range append(p.calls, call{name: "end", fd: p.g.Dir, at: time.Now()}) {
		if !strings.Contains(c.fd+strings.Join(c.texts, " "), p.g.Dir) {
			continue
		}
		if c.name == "openat" && !strings.Contains(c.args, "O_CREAT") {
			continue // which leaves the disk as it is
		}
		for _, crash := range crashes(p.random, p.rng) {
			crashed++
			left := filepath.Join(scratch, fmt.Sprint(crashed))
			p.disk.root.restore(t, left, crash)
			when := fmt.Sprintf("power lost before %s of %s %q at %s: %s", c.name, c.fd, paths(c), c.at.Format("05.000000"), crash.name)
			p.checkStore(t, left, c.at, when)
			checkFiles(t, left, whole, when)
			if p.published {
				p.checkServed(t, left, c.at, when)
			}
			os.RemoveAll(left)
			if t.Failed() {
				t.FailNow()
			}
		}
		if c.name != "end" && p.disk.do(t, c) && strings.HasPrefix(c.name, "renameat") {
			whole[sha256.Sum256(p.disk.at(c.texts[1]).content())] = true
		}
	}
	t.Logf("%d crashes, %d answers", crashed, len(p.acks))
	if len(p.acks) == 0 {
		t.Error("no update was answered, so nothing was tested")
	}
}

func paths(c call) []string {
	if c.name == "pwrite64" || c.name == "write" {
		return nil
	}
	return c.texts
}

// fast is a folder in memory, if there is one.
func fast() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// checkStore wants the store to open, and to hold what was answered by then.
func (p *power) checkStore(t *testing.T, dir string, then time.Time, when string) {
	t.Helper()
	store, err := boltstore.Open(filepath.Join(dir, "state"), slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Errorf("%s: %v", when, err)
		return
	}
	defer store.Close()
	for host, sent := range p.sent {
		hosts, err := store.Hosts(context.Background(), []records.Name{host})
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		if a := hosts[0].Addresses(); len(a) == 1 {
			b := a[0].As4()
			got = int(b[2])<<8 | int(b[3])
		}
		if answered := p.answered(host, then); got < answered || got > sent {
			t.Errorf("%s: %s is at its address number %d, answered was %d, sent %d", when, host, got, answered, sent)
		}
	}
}

// checkServed wants data.cdb to hold what was answered by then, before any
// gateway starts again.
func (p *power) checkServed(t *testing.T, dir string, then time.Time, when string) {
	t.Helper()
	for host, sent := range p.sent {
		answered := p.answered(host, then)
		if answered == 0 {
			continue
		}
		var out strings.Builder
		if err := tinydns.Get(&out, filepath.Join(dir, "root"), []string{"a", string(host)}, time.Now()); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		_, address, _ := strings.Cut(out.String(), " A 192.0.")
		var high, low int
		fmt.Sscanf(address, "%d.%d", &high, &low)
		if got := high<<8 | low; got < answered || got > sent {
			t.Errorf("%s: %s is served at its address number %d, answered was %d, sent %d", when, host, got, answered, sent)
		}
	}
}

func (p *power) answered(host records.Name, then time.Time) (n int) {
	for _, a := range p.acks {
		if a.host == host && !a.at.After(then) {
			n = max(n, a.n)
		}
	}
	return n
}

// checkFiles wants data.cdb, and the files that it is made of, to be whole: as
// they were once.
func checkFiles(t *testing.T, dir string, whole map[[32]byte]bool, when string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "root"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name()[0] == '.' {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil && !whole[sha256.Sum256(content)] {
			t.Errorf("%s: %s is neither old nor new", when, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
