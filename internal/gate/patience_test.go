package gate_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/gate"

	gossh "golang.org/x/crypto/ssh"
)

// shorter makes everything end after d.
func shorter(d time.Duration) func(*gate.Options) {
	return func(o *gate.Options) {
		o.Limits.LoginGraceTime, o.Limits.IdleTimeout = d, d
	}
}

// TestNaiveWaits shows that a silent client stays for ever.
func TestNaiveWaits(t *testing.T) {
	n := startNaive(t)
	before := n.goroutines()
	for range 100 {
		nc, err := net.Dial("tcp", n.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	time.Sleep(2 * time.Second)
	if after := n.goroutines(); after < before+100 {
		t.Errorf("the naive server is better than thought: %d goroutines, then %d", before, after)
	}
}

// TestPatience has clients that never come to the point, each in its way. All
// must be gone soon after the time they have.
func TestPatience(t *testing.T) {
	const patience = time.Second
	g := open(t, shorter(patience))
	drip := func(c net.Conn, b []byte) {
		for range 1000 {
			if _, err := c.Write(b); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	clients := map[string]func() net.Conn{
		"silent": func() net.Conn { return mustConnect(t, g.addr) },
		"dripping": func() net.Conn {
			nc := mustConnect(t, g.addr)
			go drip(nc, []byte("x"))
			return nc
		},
		"dripping lines": func() net.Conn {
			nc := mustConnect(t, g.addr)
			go drip(nc, []byte("x\n"))
			return nc
		},
		"only the version": func() net.Conn { return dialRaw(t, g.addr) },
		"half a handshake": func() net.Conn {
			c := dialRaw(t, g.addr)
			c.packet(rawKexInit())
			return c
		},
		"half a packet": func() net.Conn {
			c := dialRaw(t, g.addr)
			go drip(c, []byte{0})
			return c
		},
		"no login": func() net.Conn { return dialAuth(t, g.addr) },
		"ignore": func() net.Conn {
			c := dialAuth(t, g.addr)
			go func() {
				for c.packet([]byte{2, 0, 0, 0, 0}) == nil {
					time.Sleep(50 * time.Millisecond)
				}
			}()
			return c
		},
		"idle after the login": func() net.Conn { return g.loggedIn() },
		"only pings": func() net.Conn {
			c := g.loggedIn()
			go func() {
				for c.packet([]byte{192, 0, 0, 0, 0}) == nil {
					time.Sleep(20 * time.Millisecond)
				}
			}()
			return c
		},
		"only keepalives": func() net.Conn {
			c := g.loggedIn()
			go func() {
				for c.packet(append(append([]byte{80}, text("keepalive@openssh.com")...), 1)) == nil {
					time.Sleep(20 * time.Millisecond)
				}
			}()
			return c
		},
		"a channel without a command": func() net.Conn {
			c := g.loggedIn()
			c.session(t)
			return c
		},
		"a channel never closed": func() net.Conn {
			c := g.loggedIn()
			c.exec(t, c.session(t), "whoami")
			return c
		},
		"an answer not taken": func() net.Conn {
			c := g.loggedIn()
			c.send(channelOpen{Type: "session", Window: 0, MaxPacket: 1 << 15})
			c.want(91)
			c.send(channelRequest{0, "exec", false, text("whoami")})
			return c
		},
	}
	var work sync.WaitGroup
	for name, client := range clients {
		nc := client()
		began := time.Now()
		work.Go(func() {
			defer nc.Close()
			nc.SetReadDeadline(time.Now().Add(10 * patience))
			if _, err := io.Copy(io.Discard, nc); isTimeout(err) {
				t.Errorf("%s: still open after %v", name, time.Since(began))
			}
		})
	}
	work.Wait()
	g.recovered()
}

func mustConnect(t testing.TB, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

// TestLife ends a connection that is never idle at the end of its life.
func TestLife(t *testing.T) {
	g := open(t, func(o *gate.Options) { o.Limits.MaxConnection = time.Second })
	client := g.mustDial(g.owner)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, _ := session.StdinPipe()
	if err := session.Start("update -"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 1000 {
		if _, err := io.WriteString(in, "203.0.113.1\n"); err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a batch ran for %v", took)
	}
	client.Close()
	g.recovered()
}

// TestCrowd opens thousands of connections from one source, again and again
// as they are closed, while another source logs in.
func TestCrowd(t *testing.T) {
	g := open(t, func(o *gate.Options) { o.Limits.MaxStartups, o.Limits.PerSourceStartups = 200, 20 })
	stop := make(chan struct{})
	var crowd sync.WaitGroup
	for range 200 {
		crowd.Go(func() {
			for range times(15, 100) {
				select {
				case <-stop:
					return
				default:
				}
				nc, err := connect("127.0.0.1", g.addr)
				if err != nil {
					continue
				}
				nc.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
				io.Copy(io.Discard, nc)
				nc.Close()
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	for range 5 {
		began := time.Now()
		client, err := g.dialFrom("127.0.0.2", gossh.PublicKeys(g.owner))
		if err != nil {
			t.Fatalf("another source: %v", err)
		}
		g.expect(client, "update 203.0.113.7", " 203.0.113.7 home.example.com\n")
		took := time.Since(began)
		t.Logf("a login in the crowd: %v", took)
		if took > 2*time.Second {
			t.Errorf("a login took %v", took)
		}
		client.Close()
	}
	if n := g.Connections().Unauthenticated; n > 21 {
		t.Errorf("%d unauthenticated connections of one source", n)
	}
	close(stop)
	crowd.Wait()
	if n := g.Connections().Refused; n < 1000 {
		t.Errorf("only %d connections were refused", n)
	}
	g.recovered()
}

// TestStartups says why a connection is refused, as sshd does.
func TestStartups(t *testing.T) {
	g := open(t, func(o *gate.Options) { o.Limits.PerSourceStartups = 1 })
	first := dialRaw(t, g.addr)
	nc := mustConnect(t, g.addr)
	if said, _ := io.ReadAll(nc); !bytes.Contains(said, []byte("Exceeded MaxStartups: ")) {
		t.Errorf("%q", said)
	}
	first.Close()
	nc.Close()
	time.Sleep(100 * time.Millisecond)
	g.recovered()
}

// TestPenaltyBox fails to log in until the source is slowed, while others
// and exempt networks are not.
func TestPenaltyBox(t *testing.T) {
	g := open(t, func(o *gate.Options) { o.Limits.Penalties = true })
	stranger := newKey(t)
	admin := newKey(t)
	g.authorize("command=\"dnsgate admin\" " + string(gossh.MarshalAuthorizedKey(admin.PublicKey())))
	failures := 0
	for ; failures < 20; failures++ {
		_, err := g.dialFrom("127.0.0.3", gossh.PublicKeys(stranger))
		if err == nil {
			t.Fatal("a stranger logs in")
		}
		if strings.Contains(err.Error(), "Not allowed at this time: ") {
			break
		}
		if !strings.Contains(err.Error(), "unable to authenticate") {
			t.Fatal(err)
		}
	}
	if failures < 4 || failures > 7 { // of 5 s each, counted when the connection has ended; one is let in slowly
		t.Errorf("slowed after %d failures", failures)
	}
	client := g.mustDial(admin)
	g.expect(client, "status", "penalties: 1 sources slowed for a while\n  127.0.0.3/32 until ")
	g.expect(client, "status", ": failed login\n")
	g.expect(client, "status --json", `"source": "127.0.0.3/32"`)
	client.Close()
	g.recovered()
}

// TestOffences wants each way to give trouble to have its class, and exempt
// networks to have none.
func TestOffences(t *testing.T) {
	g := open(t, shorter(500*time.Millisecond), func(o *gate.Options) {
		o.Limits.Penalties = true
		o.Limits.PenaltyExempt = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/30")}
	})
	silent := func(source string) {
		nc, err := connect(source, g.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, nc)
		nc.Close()
	}
	probe := func(source string) {
		nc, err := connect(source, g.addr)
		if err != nil {
			t.Fatal(err)
		}
		nc.Close()
	}
	for range 2 { // of 10 s
		silent("127.0.0.4")
		silent("127.0.0.3") // exempt
	}
	for range 17 { // of 1 s
		probe("127.0.0.5")
		probe("127.0.0.3")
	}
	want := map[string]string{"127.0.0.4/32": "login took too long", "127.0.0.5/32": "no login tried"}
	got := map[string]string{}
	for end := time.Now().Add(5 * time.Second); len(got) < len(want) && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for _, p := range g.Connections().Penalties {
			got[p.Source] = p.Why
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("penalties %v, want %v", got, want)
	}
	if n := g.Connections().Penalized; n != len(want) {
		t.Errorf("%d sources are refused", n)
	}
	g.recovered()
}

// brokenKeys panics for one key, as a bug would.
type brokenKeys struct {
	gate.Keys
	bug gossh.PublicKey
}

func (k *brokenKeys) Lookup(key gossh.PublicKey, source netip.Addr, now time.Time) (authkeys.Grant, error) {
	if k.bug != nil && bytes.Equal(key.Marshal(), k.bug.Marshal()) {
		panic("a bug in the login")
	}
	return k.Keys.Lookup(key, source, now)
}

// TestBug finds a bug before the login that panics: the process goes on, and
// the source has the longest penalty.
func TestBug(t *testing.T) {
	stranger := newKey(t)
	g := open(t, func(o *gate.Options) {
		o.Keys = &brokenKeys{o.Keys, stranger.PublicKey()}
		o.Limits.Penalties = true
	})
	if _, err := g.dialFrom("127.0.0.9", gossh.PublicKeys(stranger)); err == nil {
		t.Error("the bug logs in")
	}
	time.Sleep(100 * time.Millisecond)
	penalties := g.Connections().Penalties
	if len(penalties) != 1 || time.Until(penalties[0].Until) < 80*time.Second {
		t.Errorf("%+v", penalties)
	}
	if !strings.Contains(g.log.String(), "bug: panic") {
		t.Error("it is not logged")
	}
	g.log.Reset()
	g.recovered()
}

// TestStopUnderAttack stops the gateway while all kinds of clients hang on it;
// the end of open's Cleanup, which waits for all of it, must come.
func TestStopUnderAttack(t *testing.T) {
	g := open(t)
	for range 20 {
		mustConnect(t, g.addr)
		dialRaw(t, g.addr)
		dialAuth(t, g.addr)
		c := g.loggedIn()
		go fillWindows(t, c, "")
	}
	client := g.mustDial(g.owner)
	channel := openSession(t, client)
	channel.SendRequest("exec", true, text("update -"))
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	g.Shutdown(ctx)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if c := g.Connections(); c.Authenticated != 0 || c.Unauthenticated != 0 {
		t.Errorf("%+v", c)
	}
}
