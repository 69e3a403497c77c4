//go:build !client

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/tinydns"

	gossh "golang.org/x/crypto/ssh"
)

// TestKill ends a gateway with SIGKILL under load, again and again, and checks
// each time that what it said good to is in data.cdb and in the store, that
// data.cdb is whole, that its serial never goes back, and that nothing is left
// behind. DNSGATE_KILL_ROUNDS says how often: 200 takes some minutes.
func TestKill(t *testing.T) {
	rounds, writers := 5, 32
	if testing.Short() {
		rounds, writers = 2, 8
	}
	if n, err := strconv.Atoi(os.Getenv("DNSGATE_KILL_ROUNDS")); err == nil {
		rounds = n
	}
	g := newVictim(t)
	var clients []*writer
	for i := range writers {
		key := g.authorize(t, fmt.Sprintf(".w%d.%s", i, victimZone))
		clients = append(clients, &writer{victim: g, key: key, number: i})
	}
	acknowledged := 0
	for round := range rounds {
		g.start(t)
		var all sync.WaitGroup
		for _, w := range clients {
			all.Go(w.run)
		}
		if round%2 == 1 {
			g.awaitUpdate(t) // on a busy machine a login may take longer than any pause
		}
		time.Sleep(rand.N(400 * time.Millisecond))
		g.kill()
		all.Wait()
		for _, w := range clients {
			w.check(t, "data.cdb after the kill", g.served)
			acknowledged += w.acknowledged
			w.acknowledged = 0
		}
		g.checkSerial(t)

		g.start(t)
		stored := g.stored(t)
		for _, w := range clients {
			w.check(t, "the store", func(host string) string { return stored[host] })
		}
		g.run(t, "rebuild")
		for host, address := range stored {
			if got := g.served(host); got != address {
				t.Errorf("data.cdb after the restart: %s is %q, stored is %s", host, got, address)
			}
		}
		g.checkSerial(t)
		g.checkLeftovers(t)
		for _, w := range clients {
			w.settle(stored)
		}
		g.kill()
		if t.Failed() {
			t.Fatalf("in round %d", round+1)
		}
	}
	t.Logf("%d rounds, %d updates acknowledged, none lost", rounds, acknowledged)
	if acknowledged == 0 {
		t.Error("no update was acknowledged, so nothing was tested")
	}
}

// victim is a gateway to be killed.
type victim struct {
	binary, dir string
	admin       gossh.Signer

	mu      sync.Mutex
	address string
	process *exec.Cmd
	serial  uint64
}

const victimZone = "kill.example.com"

func newVictim(t *testing.T) *victim {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "dnsgate")
	must(t, exec.Command("go", "build", "-o", binary, "."), "")
	return newVictimOf(t, binary)
}

func newVictimOf(t *testing.T, binary string) *victim {
	t.Helper()
	g := &victim{binary: binary, dir: filepath.Join(t.TempDir(), "gate")}
	must(t, exec.Command(g.binary, "init", g.dir), "")
	edit(t, filepath.Join(g.dir, configName),
		`["[::]:2222"]`, `["127.0.0.1:0"]`,
		"updates_per_minute = 30 ", "updates_per_minute = 1000000 ",
		"per_source_startups = 20 ", "per_source_startups = 200 ")
	edit(t, filepath.Join(g.dir, "root", "data"), "#\n", "."+victimZone+":127.0.0.1:a\n")
	g.admin = g.authorize(t, "--admin")
	return g
}

func must(t *testing.T, c *exec.Cmd, stdin string) string {
	t.Helper()
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", c.Args, err, out)
	}
	return string(out)
}

func edit(t *testing.T, file string, oldNew ...string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldNew); i += 2 {
		if !bytes.Contains(content, []byte(oldNew[i])) {
			t.Fatalf("%s: no %q", file, oldNew[i])
		}
	}
	edited := strings.NewReplacer(oldNew...).Replace(string(content))
	if err := os.WriteFile(file, []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (g *victim) authorize(t *testing.T, grant string) gossh.Signer {
	t.Helper()
	pem, err := newPrivateKey("victim")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.ParsePrivateKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	add := exec.Command(g.binary, "key", "add", "--config", filepath.Join(g.dir, configName), grant)
	must(t, add, string(gossh.MarshalAuthorizedKey(signer.PublicKey())))
	return signer
}

// start starts the gateway and returns once it listens.
func (g *victim) start(t *testing.T) {
	t.Helper()
	c := exec.Command(g.binary, "serve", "--config", filepath.Join(g.dir, configName))
	log, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if _, address, ok := strings.Cut(lines.Text(), "msg=listening address="); ok {
			go func() {
				for lines.Scan() {
				}
			}()
			g.mu.Lock()
			g.process, g.address = c, address
			g.mu.Unlock()
			t.Cleanup(g.kill)
			return
		}
	}
	t.Fatalf("the gateway does not start: %v\n%s", c.Wait(), said.String())
}

// awaitUpdate returns once a writer's change of this round is in data.cdb.
func (g *victim) awaitUpdate(t *testing.T) {
	t.Helper()
	path := filepath.Join(g.dir, "root", "dnsgate")
	before, _ := os.ReadFile(path)
	for range 3000 {
		if now, _ := os.ReadFile(path); len(now) > 0 && string(now) != string(before) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no update within 30 s")
}

func (g *victim) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.process != nil {
		g.process.Process.Kill()
		g.process.Wait()
		g.process = nil
	}
}

func (g *victim) dial(key gossh.Signer) (*gossh.Client, error) {
	g.mu.Lock()
	address := g.address
	g.mu.Unlock()
	return gossh.Dial("tcp", address, &gossh.ClientConfig{
		User: "kill", Auth: []gossh.AuthMethod{gossh.PublicKeys(key)},
		HostKeyCallback: gossh.InsecureIgnoreHostKey(), Timeout: 20 * time.Second,
	})
}

// run runs an admin command.
func (g *victim) run(t *testing.T, command string) string {
	t.Helper()
	out, err := g.say(t, g.admin, command)
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return out
}

// say runs a command, which may fail.
func (g *victim) say(t *testing.T, key gossh.Signer, command string) (string, error) {
	t.Helper()
	conn, err := g.dial(key)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	session, err := conn.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := session.Output(command)
	return string(out), err
}

// stored is what the store says, address by host.
func (g *victim) stored(t *testing.T) map[string]string {
	t.Helper()
	stored := make(map[string]string)
	for line := range strings.Lines(g.run(t, "hosts")) {
		if f := strings.Fields(line); len(f) >= 5 { // "; seen TIME" may follow
			stored[strings.TrimSuffix(f[0], ".")] = f[4]
		}
	}
	return stored
}

// get is dnsgate get in the gateway's root.
func (g *victim) get(kind, name string) string {
	var out strings.Builder
	if err := tinydns.Get(&out, filepath.Join(g.dir, "root"), []string{kind, name}, time.Now()); err != nil {
		return err.Error()
	}
	for line := range strings.Lines(out.String()) {
		if answer, ok := strings.CutPrefix(line, "answer: "); ok {
			return strings.TrimSpace(answer)
		}
	}
	return ""
}

// served is what data.cdb says.
func (g *victim) served(host string) string {
	answer := g.get("a", host)
	return answer[strings.LastIndexByte(answer, ' ')+1:]
}

func (g *victim) checkSerial(t *testing.T) {
	t.Helper()
	get := exec.Command(g.binary, "get", "soa", victimZone)
	get.Dir = filepath.Join(g.dir, "root")
	f := strings.Fields(must(t, get, ""))
	for i := range f {
		if f[i] == "SOA" && i+3 < len(f) {
			serial, err := strconv.ParseUint(f[i+3], 10, 32)
			if err != nil || serial < g.serial {
				t.Errorf("the serial went from %d to %s", g.serial, f[i+3])
			}
			g.serial = serial
			return
		}
	}
	t.Errorf("data.cdb has no SOA record any more: %q", f)
}

// versionBefore is what may stand beside a file while the gateway runs.
var versionBefore = regexp.MustCompile(`^\.(data\.cdb|dnsgate)\.[A-Z2-7]{10}\.tmp$`)

// checkLeftovers wants only the files in the root that belong there.
func (g *victim) checkLeftovers(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(g.dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	kept := make(map[string]int)
	for _, e := range entries {
		switch name := e.Name(); name {
		case ".dnsgate.lock", "data", "data.cdb", "dnsgate":
		default:
			file := versionBefore.FindStringSubmatch(name)
			if file == nil || kept[file[1]] > 0 {
				t.Errorf("left behind: %s", name)
				continue
			}
			kept[file[1]]++
		}
	}
}

// writer updates hosts of its own, one after the other, and remembers what was
// acknowledged. Every address is another one.
type writer struct {
	victim       *victim
	key          gossh.Signer
	number, n    int
	said, sent   map[string]string // by host: acknowledged; perhaps stored
	acknowledged int
}

func (w *writer) run() {
	if w.said == nil {
		w.said, w.sent = make(map[string]string), make(map[string]string)
	}
	conn, err := w.victim.dial(w.key)
	if err != nil {
		return // killed
	}
	defer conn.Close()
	if w.number%2 == 0 {
		w.runBatch(conn)
		return
	}
	for {
		host, address := w.next()
		session, err := conn.NewSession()
		if err != nil {
			return
		}
		out, err := session.Output("update " + host + " " + address)
		session.Close()
		if err != nil || !w.acknowledge(string(out)) {
			return
		}
	}
}

// runBatch sends lines, each when the one before it is answered.
func (w *writer) runBatch(conn *gossh.Client) {
	session, err := conn.NewSession()
	if err != nil {
		return
	}
	defer session.Close()
	in, err := session.StdinPipe()
	if err != nil {
		return
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return
	}
	if session.Start("update -") != nil {
		return
	}
	replies := bufio.NewScanner(out)
	for {
		host, address := w.next()
		if _, err := fmt.Fprintf(in, "%s %s\n", host, address); err != nil {
			return
		}
		if !replies.Scan() || !w.acknowledge(replies.Text()) {
			return
		}
	}
}

func (w *writer) next() (host, address string) {
	w.n++
	host = fmt.Sprintf("h%d.w%d.%s", w.n%3, w.number, victimZone)
	address = netip.AddrFrom4([4]byte{byte(20 + w.number), byte(w.n >> 16), byte(w.n >> 8), byte(w.n)}).String()
	w.sent[host] = address
	return host, address
}

func (w *writer) acknowledge(reply string) bool {
	f := strings.Fields(reply)
	if len(f) != 3 || f[0] != "good" {
		return false
	}
	w.said[f[2]] = f[1]
	w.acknowledged++
	return true
}

// check wants each host to be as it was acknowledged, or as it was sent later
// without an answer.
func (w *writer) check(t *testing.T, where string, address func(host string) string) {
	t.Helper()
	for host, sent := range w.sent {
		if got := address(host); got != sent && got != w.said[host] {
			t.Errorf("%s: %s is %q, acknowledged was %q, sent %q", where, host, got, w.said[host], sent)
		}
	}
}

// settle takes what is stored for what was acknowledged: a later kill must not
// bring back what was before.
func (w *writer) settle(stored map[string]string) {
	for host := range w.sent {
		if address, ok := stored[host]; ok {
			w.said[host], w.sent[host] = address, address
		}
	}
}
