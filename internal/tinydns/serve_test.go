package tinydns

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dnsgate/internal/durable"
)

// TestTinydnsUnderLoad replaces data.cdb 500 times below a real tinydns that
// is being asked all the time. No answer may be missing, wrong or old.
func TestTinydnsUnderLoad(t *testing.T) {
	program := need(t, "tinydns")
	if os.Geteuid() != 0 {
		t.Skip("tinydns must be started as root")
	}
	w := newWorld(t)
	w.publish(t, 0)
	server := startTinydns(t, program, w.root)

	var clients sync.WaitGroup
	var asked atomic.Int64
	stop := make(chan struct{})
	for range 3 {
		clients.Go(func() {
			conn, err := net.Dial("udp", server)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := w.ask(conn, n); err != nil {
					t.Error(err)
					return
				}
				asked.Add(1)
			}
		})
	}
	for round := uint32(1); round <= 500 && !t.Failed(); round++ {
		w.publish(t, round)
	}
	close(stop)
	clients.Wait()
	if asked.Load() < 500 {
		t.Errorf("only %d questions asked", asked.Load())
	}
	t.Logf("%d questions answered", asked.Load())
}

// world is a database of one dynamic name, whose address counts the rounds,
// and of names that stay, and what may be seen of them at a moment.
type world struct {
	root      string
	builder   Builder
	begun     atomic.Uint32 // the last round whose publication has begun,
	published atomic.Uint32 // and the last that has ended
}

const staticNames = 2000

func newWorld(t *testing.T) *world {
	w := &world{root: t.TempDir()}
	if err := os.Chmod(w.root, 0o755); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	text.WriteString(".example.com:127.0.0.1:a\n")
	for i := range staticNames {
		fmt.Fprintf(&text, "+s%d.example.com:10.0.%d.%d\n", i, i>>8, i&255)
	}
	w.builder.SetSources([]*Part{encoded(t, []byte(text.String()))}, nil)
	return w
}

// publish makes the dynamic name's address that of round. Other dynamic names
// come and go, so that everything behind them moves.
func (w *world) publish(t *testing.T, round uint32) {
	changes := []Owner{{"n.example.com", 5, []Value{{Addr: netip.AddrFrom4([4]byte{10, 1, byte(round >> 8), byte(round)})}}}}
	other := fmt.Sprintf("d%d.example.com", round%50)
	if round%100 < 50 {
		changes = append(changes, Owner{other, 86400, []Value{{Text: strings.Repeat("x", int(round))}}})
	} else {
		changes = append(changes, Owner{Name: other})
	}
	if err := w.builder.Apply(changes); err != nil {
		t.Fatal(err)
	}
	w.begun.Store(round)
	f, err := durable.Create(filepath.Join(w.root, "data.cdb"), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	if err := w.builder.WriteDatabase(f.File, round); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	w.published.Store(round)
}

// ask asks for the dynamic name, or for one of the others, and checks the
// answer.
func (w *world) ask(conn net.Conn, n int) error {
	if n%2 == 0 {
		i := rand.IntN(staticNames)
		got, err := askAddress(conn, fmt.Sprintf("s%d.example.com", i), uint16(n))
		if want := uint32(10<<24 | i); err == nil && got != want {
			err = fmt.Errorf("s%d.example.com: %08x, not %08x", i, got, want)
		}
		return err
	}
	least := w.published.Load()
	got, err := askAddress(conn, "n.example.com", uint16(n))
	if err != nil {
		return err
	}
	most := w.begun.Load()
	if round := got - (10<<24 | 1<<16); round < least || round > most {
		return fmt.Errorf("n.example.com: the address of round %d, asked between rounds %d and %d", round, least, most)
	}
	return nil
}

// askAddress asks for the one address of name.
func askAddress(conn net.Conn, name string, id uint16) (uint32, error) {
	wire, err := appendName(nil, []byte(name))
	if err != nil {
		return 0, err
	}
	query := newMessage(wire, typeA).bytes
	query[2] = 0
	binary.BigEndian.PutUint16(query, id)
	if _, err := conn.Write(query); err != nil {
		return 0, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return 0, err
	}
	reply := make([]byte, 1024)
	n, err := conn.Read(reply)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	p := parser{packet: reply[:n]}
	header := p.bytes(12)
	p.skipName()
	p.bytes(4)
	p.skipName()
	fixed, ip := p.bytes(10), p.bytes(4)
	if p.err != nil || binary.BigEndian.Uint16(header) != id || binary.BigEndian.Uint16(header[6:]) != 1 ||
		header[3]&15 != 0 || binary.BigEndian.Uint16(fixed) != typeA {
		return 0, fmt.Errorf("%s: the reply is %q", name, reply[:n])
	}
	return binary.BigEndian.Uint32(ip), nil
}

// startTinydns serves root on a loopback address of its own, and returns that
// with the port, which for tinydns is always 53.
func startTinydns(t *testing.T, program, root string) string {
	t.Helper()
	for range 5 {
		ip := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
		cmd := exec.Command(program)
		cmd.Env = []string{"ROOT=" + root, "IP=" + ip, "UID=65534", "GID=65534"}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if serves(ip+":53", ended) {
			t.Cleanup(func() {
				cmd.Process.Kill()
				<-ended
			})
			return ip + ":53"
		}
		cmd.Process.Kill()
	}
	t.Fatal("tinydns does not start")
	return ""
}

// serves waits for the first answer from a server.
func serves(server string, ended <-chan error) bool {
	for range 100 {
		select {
		case <-ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
		conn, err := net.Dial("udp", server)
		if err != nil {
			return false
		}
		_, err = askAddress(conn, "n.example.com", 1)
		conn.Close()
		if err == nil {
			return true
		}
	}
	return false
}
