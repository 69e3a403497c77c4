package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/gate"
	"dnsgate/test/rig"
)

// TestMemoryServer is the gateway that TestMemory and BenchmarkIdle measure,
// in a process of its own. Asked by a line of input, it collects garbage.
func TestMemoryServer(t *testing.T) {
	if os.Getenv("DNSGATE_MEMORY") == "" {
		t.Skip("it is run by others")
	}
	g := open(t, func(o *gate.Options) {
		o.Limits.MaxStartups, o.Limits.PerSourceStartups = 20_000, 20_000
		o.Limits.LoginGraceTime, o.Limits.IdleTimeout = time.Hour, time.Hour
	})
	g.authorize(grant(fixedKey(1), "idle.example.com"))
	fmt.Println("listening", g.addr)
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		if asked.Text() == "collect" {
			runtime.GC()
			debug.FreeOSMemory()
		}
		fmt.Println("connections", g.Connections().Unauthenticated+g.Connections().Authenticated)
	}
}

// memoryServer is a running one.
type memoryServer struct {
	testing.TB
	addr  string
	pid   int
	stdin io.Writer
	lines *bufio.Scanner
}

func startMemoryServer(t testing.TB) *memoryServer {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestMemoryServer$", "-test.v")
	cmd.Env = append(os.Environ(), "DNSGATE_MEMORY=1")
	stdin, stdout := startPiped(t, cmd)
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	s := &memoryServer{t, "", cmd.Process.Pid, stdin, bufio.NewScanner(stdout)}
	s.addr = s.answer("listening ")
	return s
}

func (s *memoryServer) answer(prefix string) string {
	for s.lines.Scan() {
		if answer, ok := strings.CutPrefix(s.lines.Text(), prefix); ok {
			return answer
		}
	}
	s.Fatal("the server ended")
	return ""
}

// ask returns how many connections it has, after collecting garbage if that
// is what is asked.
func (s *memoryServer) ask(what string) int {
	fmt.Fprintln(s.stdin, what)
	n, err := strconv.Atoi(s.answer("connections "))
	if err != nil {
		s.Fatal(err)
	}
	return n
}

func residentKiB(t testing.TB, pid int) int {
	t.Helper()
	kib, err := rig.Memory(pid, "VmRSS")
	rig.Must(t, err)
	return kib
}

// crowds are the clients that hold a connection and do nothing, or the worst
// that they can do.
var crowds = []struct {
	name string
	most float64 // KiB for each
	join func(s *memoryServer) net.Conn
}{
	{"silent", 16, func(s *memoryServer) net.Conn { return mustConnect(s, s.addr) }},
	{"authenticated", 50, func(s *memoryServer) net.Conn {
		c := dialAuth(s, s.addr)
		c.login(s, fixedKey(1))
		return c.Conn
	}},
	{"used", 50, func(s *memoryServer) net.Conn {
		c := dialAuth(s, s.addr)
		c.login(s, fixedKey(1))
		channel := c.session(s)
		c.exec(s, channel, "whoami")
		c.packet(append([]byte{97, 0, 0, 0}, byte(channel)))
		return c.Conn
	}},
	{"no login", 96, func(s *memoryServer) net.Conn { return dialAuth(s, s.addr).Conn }},
	{"clear packet", 96, func(s *memoryServer) net.Conn {
		c := dialRaw(s, s.addr)
		c.Write([]byte{0, 0, 0x1f, 0, 4}) // nearly maxLoginPacket, and most of it
		c.Write(make([]byte, 0x1e00))
		return c.Conn
	}},
	{"worst", 96, func(s *memoryServer) net.Conn {
		c := dialAuth(s, s.addr)
		// As many packets as may wait while one is worked on, as long as may be,
		// and most of a last one.
		query := userAuth{"root", "ssh-connection", "publickey", false, "ssh-ed25519", make([]byte, 7800)}
		c.send(query)
		c.send(query)
		c.send(query)
		c.Write([]byte{0, 0, 0x1f, 0})
		c.Write(make([]byte, 6500))
		return c.Conn
	}},
}

// gather has n clients join, and returns the KiB for each, before and after
// the server collects garbage.
func gather(s *memoryServer, n int, join func(*memoryServer) net.Conn) (perConn, collected float64) {
	s.ask("collect")
	before := residentKiB(s, s.pid)
	for range n {
		nc := join(s)
		defer nc.Close()
	}
	time.Sleep(200 * time.Millisecond)
	if got := s.ask("count"); got != n {
		s.Fatalf("%d connections of %d are left", got, n)
	}
	perConn = float64(residentKiB(s, s.pid)-before) / float64(n)
	s.ask("collect")
	return perConn, float64(residentKiB(s, s.pid)-before) / float64(n)
}

// TestMemory wants connections to cost no more than SECURITY.md says.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("with the race detector memory is another")
	}
	for _, crowd := range crowds {
		s := startMemoryServer(t)
		perConn, collected := gather(s, times(300, 3000), crowd.join)
		t.Logf("%s: %.1f KiB each, %.1f after garbage collection", crowd.name, perConn, collected)
		if collected > crowd.most {
			t.Errorf("%s: %.1f KiB each, which is more than %.0f", crowd.name, collected, crowd.most)
		}
	}
}

// BenchmarkIdle measures crowds of 1,000 and 10,000: scripts/idle-memory.
func BenchmarkIdle(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		for _, crowd := range crowds {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(crowd.name, " ", "-"), n), func(b *testing.B) {
				s := startMemoryServer(b)
				perConn, collected := gather(s, n, crowd.join)
				b.ReportMetric(perConn, "KiB/conn")
				b.ReportMetric(collected, "KiB/conn-collected")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
