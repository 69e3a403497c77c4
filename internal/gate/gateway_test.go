package gate_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/command"
	"dnsgate/internal/gate"
	"dnsgate/internal/publish"
	"dnsgate/internal/publish/datafile"
	"dnsgate/internal/records/boltstore"
	"dnsgate/test/rig"

	gossh "golang.org/x/crypto/ssh"
)

// heavy asks for the counts of a long run.
var heavy = os.Getenv("DNSGATE_HEAVY") != ""

// times is n in a usual run, and more in a long one.
func times(n, long int) int {
	if heavy {
		return long
	}
	return n
}

// gateway is a whole one: gate, keys, store and tinydns data.
type gateway struct {
	testing.TB
	*gate.Gate
	addr     string
	hostKey  gossh.Signer
	keys     *authkeys.File
	keysFile string
	owner    gossh.Signer // may update home.example.com
	log      *rig.Output
	before   usage
	updates  atomic.Uint32
}

// open starts a gateway whose limits stand in nobody's way, unless changed.
func open(t testing.TB, change ...func(*gate.Options)) *gateway {
	t.Helper()
	folder := t.TempDir()
	g := &gateway{TB: t, owner: newKey(t), keysFile: filepath.Join(folder, "authorized_keys"), log: &rig.Output{Most: 1 << 20}}
	log := slog.New(slog.NewTextHandler(g.log, nil))
	g.write(grant(g.owner, "home.example.com"))
	var err error
	if g.keys, err = authkeys.Open(g.keysFile, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.keys.Close)
	commands := g.commands(folder, log)
	options := gate.Options{
		HostKeys: []gossh.Signer{newKey(t)}, Keys: g.keys, Commands: commands, Log: log,
		Limits: gate.Limits{
			LoginGraceTime: 20 * time.Second, MaxStartups: 2000, PerSourceStartups: 2000, MaxAuthTries: 6,
			MaxSessions: 10, IdleTimeout: 30 * time.Second, MaxConnection: 10 * time.Minute,
			MaxLogins: 20_000, MaxLoginsPerKey: 20_000,
		},
	}
	for _, f := range change {
		f(&options)
	}
	g.hostKey = options.HostKeys[0]
	if g.Gate, err = gate.New(options); err != nil {
		t.Fatal(err)
	}
	commands.Connections = g.Connections
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.addr = listener.Addr().String()
	served := make(chan error)
	go func() { served <- g.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		g.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Error(err)
		}
		if strings.Contains(g.log.String(), "bug: panic") {
			t.Errorf("it panicked:\n%s", g.log)
		}
	})
	g.update() // so that all that is made once is made
	g.before = g.use()
	return g
}

func (g *gateway) commands(folder string, log *slog.Logger) *command.Interpreter {
	store, err := boltstore.Open(filepath.Join(folder, "state"), log)
	if err != nil {
		g.Fatal(err)
	}
	root := filepath.Join(folder, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		g.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "data"), []byte(".example.com:127.0.0.1:a\n"), 0o644); err != nil {
		g.Fatal(err)
	}
	target, err := datafile.New(datafile.Options{
		Root: root, Write: "file", Path: "dnsgate", Sources: []string{"data"}, AAAA: "generic", Timeout: 10 * time.Second, Logger: log,
	})
	if err != nil {
		g.Fatal(err)
	}
	set := publish.NewSet(func() publish.Source { return store.Follow(0) }, log, target)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { set.Run(ctx); close(done) }()
	g.Cleanup(func() { stop(); <-done; store.Close() })
	return &command.Interpreter{
		Store: store, Publishers: set, Rates: command.NewRates(1_000_000), Log: log,
		Version: "test", Started: time.Now(), TTL: func() uint32 { return 300 }, PublishTimeout: 15 * time.Second,
		Reload: func(context.Context) ([]string, error) { return nil, g.keys.Reload() },
		Keys:   func() ([]authkeys.Grant, []authkeys.Problem) { return g.keys.Set().Grants(), g.keys.Problems() },
	}
}

// authorize adds lines to the owner's in authorized_keys.
func (g *gateway) authorize(lines ...string) {
	g.Helper()
	g.write(append([]string{grant(g.owner, "home.example.com")}, lines...)...)
	if err := g.keys.Reload(); err != nil {
		g.Fatal(err)
	}
}

func (g *gateway) write(lines ...string) {
	if err := os.WriteFile(g.keysFile, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		g.Fatal(err)
	}
}

// grant is the line that lets key update hosts.
func grant(key gossh.Signer, hosts string) string {
	return fmt.Sprintf("command=\"dnsgate allow %s\" %s", hosts, gossh.MarshalAuthorizedKey(key.PublicKey()))
}

func newKey(t testing.TB) gossh.Signer {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// dial logs in with keys.
func (g *gateway) dial(keys ...gossh.Signer) (*gossh.Client, error) {
	return g.dialFrom("127.0.0.1", gossh.PublicKeys(keys...))
}

func (g *gateway) dialFrom(source string, auth ...gossh.AuthMethod) (*gossh.Client, error) {
	nc, err := connect(source, g.addr)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	conn, channels, requests, err := gossh.NewClientConn(nc, g.addr, &gossh.ClientConfig{
		User: "root", Auth: auth, HostKeyCallback: gossh.FixedHostKey(g.hostKey.PublicKey()),
		HostKeyAlgorithms: g.algorithms(),
	})
	if err != nil {
		nc.Close()
		return nil, err
	}
	nc.SetDeadline(time.Time{})
	return gossh.NewClient(conn, channels, requests), nil
}

func connect(source, addr string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(source), 0)), Timeout: 10 * time.Second}
	return d.Dial("tcp", addr)
}

func (g *gateway) mustDial(keys ...gossh.Signer) *gossh.Client {
	g.Helper()
	client, err := g.dial(keys...)
	if err != nil {
		g.Fatal(err)
	}
	g.Cleanup(func() { client.Close() })
	return client
}

// run runs a command and returns what it says on stdout, and its exit status.
func run(client *gossh.Client, line string) (string, int, error) {
	session, err := client.NewSession()
	if err != nil {
		return "", 0, err
	}
	defer session.Close()
	out, err := session.Output(line)
	var exit *gossh.ExitError
	if errors.As(err, &exit) {
		return string(out), exit.ExitStatus(), nil
	}
	return string(out), 0, err
}

// expect runs a command whose output must hold want.
func (g *gateway) expect(client *gossh.Client, line, want string) {
	g.Helper()
	out, _, err := run(client, line)
	if err != nil || !strings.Contains(out, want) {
		g.Fatalf("%s: %q, %v; want %q", line, out, err, want)
	}
}

// update is the normal update that still has to work after an attack.
func (g *gateway) update() {
	g.Helper()
	client, err := g.dial(g.owner)
	if err != nil {
		g.Fatalf("a normal login: %v", err)
	}
	defer client.Close()
	address := fmt.Sprintf("198.51.100.%d", g.updates.Add(1)%200+1)
	g.expect(client, "update "+address, "good "+address+" home.example.com\n")
}

// usage is what the process holds.
type usage struct {
	goroutines, files int
	heap              uint64
}

func (g *gateway) use() usage {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		g.Fatal(err)
	}
	return usage{runtime.NumGoroutine(), len(files), m.HeapAlloc}
}

// recovered ends every attack: a normal update works, and what the attack
// took is given back.
func (g *gateway) recovered() {
	g.Helper()
	g.update()
	var now usage
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		now = g.use()
		if now.goroutines <= g.before.goroutines+5 && now.files <= g.before.files+5 && now.heap <= g.before.heap+8<<20 {
			return
		}
	}
	stacks := make([]byte, 1<<16)
	g.Errorf("before %+v, after %+v\n%s", g.before, now, stacks[:runtime.Stack(stacks, true)])
}
