package follow

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// TestUnreadStreamsHoldNoPicture: what a stream has not sent yet costs nothing. The
// hosts of this store are some 5 MiB as a picture.
func TestUnreadStreamsHoldNoPicture(t *testing.T) {
	const hosts, most = 40_000, 1 << 20
	g := newGateway(t, ".example.com")
	for first := 0; first < hosts; first += 1000 {
		var names []string
		for i := range 1000 {
			names = append(names, fmt.Sprintf("h%d.example.com", first+i))
		}
		g.set(strings.Join(names, ","), "192.0.2.1")
	}
	before := inUse()
	for range maxWholes {
		conn, err := g.run(t.Context(), "", "follow")
		rig.Must(t, err)
		in := bufio.NewReaderSize(conn, 16) // it reads no further than the test does
		for {
			line, err := in.ReadString('\n')
			rig.Must(t, err)
			if strings.HasPrefix(line, wholeLine) {
				break
			}
		}
	}
	if more := inUse() - before; more > maxWholes*most {
		t.Errorf("%d followers that do not read hold %d KiB", maxWholes, more>>10)
	}
}

// inUse is how many bytes of the heap are in use.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one only put aside
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestWidenedLine brings a follower the names that its line has now, and a narrowed one
// takes those away that it lacks.
func TestWidenedLine(t *testing.T) {
	g := newGateway(t, "a.example.com")
	mine := openStore(t)
	g.set("a.example.com,b.example.com", "192.0.2.1")
	follower(t, mine, io.Discard, g.run)
	const narrow = "a.example.com 300 192.0.2.1\n"
	rig.Wait(t, "it has the one name", func() bool { return picture(t, mine) == narrow })
	g.allow("a.example.com", "b.example.com")
	g.awaitSame(mine)
	g.allow("a.example.com")
	rig.Wait(t, "it has the one name again", func() bool { return picture(t, mine) == narrow })
}

// TestRevokedWithinASecond: behind a change of the line comes at most one heartbeat,
// which was on its way, whether there are changes to tell or none.
func TestRevokedWithinASecond(t *testing.T) {
	for _, busy := range []bool{false, true} {
		t.Run(fmt.Sprint("busy=", busy), func(t *testing.T) {
			g := newGateway(t, ".example.com")
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				for n := 0; busy && ctx.Err() == nil; n++ {
					g.set("a.example.com", fmt.Sprintf("192.0.2.%d", n%250+1))
				}
			}()
			defer func() { cancel(); <-done }()
			conn, err := g.run(t.Context(), "", "follow")
			rig.Must(t, err)
			in := bufio.NewReader(conn)
			var last string // heartbeat before the change
			beats := 0
			for beats < 3 {
				line, err := in.ReadString('\n')
				if err != nil {
					break
				}
				stamp, beat := strings.CutPrefix(line, atLine)
				_, stamp, _ = strings.Cut(stamp, " ")
				switch {
				case beat && last == "":
					last = stamp
					g.line.Store(nil)
				case beat && stamp != last:
					last = stamp
					beats++
				}
			}
			if beats > 1 {
				t.Errorf("the stream went on for %d seconds", beats)
			}
		})
	}
}

// TestHostileGatewayIsLogged: the log has why a gateway was left, and the next one is
// tried.
func TestHostileGatewayIsLogged(t *testing.T) {
	g := newGateway(t, ".example.com")
	g.set("a.example.com", "192.0.2.1")
	mine, log := openStore(t), new(rig.Output)
	f := newFollower(mine, log, func(ctx context.Context, address, command string) (io.ReadWriteCloser, error) {
		if address == "hostile" {
			said := firstLine + format + " word\n" + wholeLine + "\n1 2026-01-01T00:00:00Z a.example.net - 192.0.2.66 300 SHA256:k -\n"
			return link{strings.NewReader(said), io.Discard, func() error { return nil }}, nil
		}
		return g.run(ctx, address, command)
	})
	f.o.Gateways = []string{"hostile", "gate"}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	defer func() { cancel(); <-done }()
	rig.Wait(t, "the log says why", func() bool {
		return strings.Contains(log.String(), "not following") && strings.Contains(log.String(), "the gateway sends a.example.net, which is not among names")
	})
	g.awaitSame(mine)
}
