package gate_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// held is the memory, in MiB, that is in use beyond that of the start.
func (g *gateway) held() int { return (int(g.use().heap) - int(g.before.heap)) >> 20 }

// text is a string of RFC 4251.
func text(s string) []byte { return gossh.Marshal(struct{ S string }{s}) }

// loggedIn is a raw client that has logged in.
func (g *gateway) loggedIn() *raw {
	g.Helper()
	c := dialAuth(g, g.addr)
	c.login(g, g.owner)
	return c
}

func (n *naiveServer) loggedIn() *raw {
	n.Helper()
	c := dialAuth(n, n.addr)
	c.login(n, fixedKey(1))
	return c
}

func openSession(t testing.TB, client *gossh.Client) gossh.Channel {
	t.Helper()
	channel, requests, err := client.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go gossh.DiscardRequests(requests)
	return channel
}

// TestTerminalLength asks for a terminal whose name is longer than memory.
func TestTerminalLength(t *testing.T) {
	n := startNaive(t)
	name := []byte{0xff, 0xff, 0xff, 0xff, 'x'}
	openSession(t, n.dial()).SendRequest("pty-req", true, name)
	if !n.dies() {
		t.Error("the naive server is better than thought")
	}
	g := open(t)
	client := g.mustDial(g.owner)
	channel := openSession(t, client)
	for _, payload := range [][]byte{name, nil, {0}, text("xterm"), bytes.Repeat([]byte{0xff}, 100)} {
		if ok, err := channel.SendRequest("pty-req", true, payload); ok || err != nil {
			t.Errorf("a terminal of %d bytes: %v, %v", len(payload), ok, err)
		}
	}
	g.expect(client, "whoami", "home.example.com")
	client.Close()
	g.recovered()
}

// TestWindowChanges resizes a terminal again and again, and runs nothing.
func TestWindowChanges(t *testing.T) {
	attack := func(client *gossh.Client) {
		for range 50 {
			channel, _, err := client.OpenChannel("session", nil)
			if err != nil {
				break
			}
			channel.SendRequest("pty-req", false, gossh.Marshal(struct {
				Term                string
				Width, Height, X, Y uint32
				Modes               string
			}{"xterm", 80, 24, 0, 0, ""}))
			for i := range 10 { // some more, and the naive server reads no further
				if _, err := channel.SendRequest("window-change", false, gossh.Marshal(struct{ W, H, X, Y uint32 }{uint32(i), 24, 0, 0})); err != nil {
					break
				}
			}
			channel.Close()
		}
		client.Close()
	}
	n := startNaive(t)
	before := n.goroutines()
	attack(n.dial())
	time.Sleep(200 * time.Millisecond)
	if after := n.goroutines(); after < before+40 {
		t.Errorf("the naive server is better than thought: %d goroutines, then %d", before, after)
	}
	g := open(t)
	attack(g.mustDial(g.owner))
	g.recovered()
}

// TestEnvironment sends environment without end.
func TestEnvironment(t *testing.T) {
	variable := gossh.Marshal(struct{ Key, Value string }{"LC_ALL", strings.Repeat("x", 30<<10)})
	attack := func(client *gossh.Client) error {
		channel := openSession(t, client)
		for range 2700 {
			if _, err := channel.SendRequest("env", false, variable); err != nil {
				return err
			}
		}
		_, err := channel.SendRequest("keepalive@openssh.com", true, nil)
		return err
	}
	n := startNaive(t)
	attack(n.dial())
	if held := n.rss(); held < 70 {
		t.Errorf("the naive server is better than thought: %d MiB", held)
	}
	g := open(t)
	client := g.mustDial(g.owner)
	if err := attack(client); !errors.Is(err, io.EOF) {
		t.Errorf("2,700 variables: %v", err)
	}
	if held := g.held(); held > 4 {
		t.Errorf("%d MiB held", held)
	}
	client.Close()
	g.recovered()
}

// TestChannelFlood opens 10,000 channels and closes none.
func TestChannelFlood(t *testing.T) {
	attack := func(c *raw) (opened, answers int) {
		go func() {
			for i := range uint32(10_000) {
				if c.send(channelOpen{"session", i, 1 << 20, 1 << 15, nil}) != nil {
					return
				}
			}
		}()
		for range 10_000 {
			p, err := c.receive()
			if err != nil {
				break
			}
			answers++
			if p[0] == 91 {
				opened++
			}
		}
		return opened, answers
	}
	n := startNaive(t)
	if opened, _ := attack(n.loggedIn()); opened != 10_000 {
		t.Errorf("the naive server is better than thought: %d opened", opened)
	}
	g := open(t)
	c := g.loggedIn()
	if opened, answers := attack(c); opened > 10 || answers > 300 {
		t.Errorf("%d channels opened at once, %d answered", opened, answers)
	}
	c.Close()
	g.recovered()
}

// TestExtraData opens channels with as much data of their own as fits.
func TestExtraData(t *testing.T) {
	extra := make([]byte, 250<<10)
	n := startNaive(t)
	client := n.dial()
	for range 200 {
		if _, _, err := client.OpenChannel("session", extra); err != nil {
			t.Fatal(err)
		}
	}
	if held := n.rss(); held < 45 {
		t.Errorf("the naive server is better than thought: %d MiB", held)
	}
	g := open(t)
	var clients []*gossh.Client
	for range 20 {
		client := g.mustDial(g.owner)
		for _, kind := range []string{"session", "x", "session"} {
			_, _, err := client.OpenChannel(kind, extra)
			if err == nil {
				t.Fatalf("a channel %s with 250 KiB of extra data opens", kind)
			}
			if !errors.As(err, new(*gossh.OpenChannelError)) {
				break // it was one too many, and the connection has ended
			}
		}
		clients = append(clients, client)
	}
	if held := g.held(); held > 20 { // a packet's room for each connection
		t.Errorf("%d MiB held", held)
	}
	for _, client := range clients {
		client.Close()
	}
	g.recovered()
}

// TestLongCommand runs a command of 250 KiB. The naive server takes a time
// that grows with the square of the length.
func TestLongCommand(t *testing.T) {
	n := startNaive(t)
	naive := func(length int) time.Duration {
		c := n.loggedIn()
		defer c.Close()
		channel := c.session(t)
		began := time.Now()
		c.exec(t, channel, strings.Repeat("x", length))
		return time.Since(began)
	}
	if short, long := naive(15_000), naive(60_000); long < 6*short {
		t.Errorf("the naive server is better than thought: %v for 15 kB, %v for 60", short, long)
	}
	g := open(t)
	client := g.mustDial(g.owner)
	out, status, err := run(client, "update "+strings.Repeat("x", 250<<10))
	if err != nil || status != 64 || !strings.HasPrefix(out, "badcmd ") || len(out) > 1000 {
		t.Errorf("%.100q, %d, %v", out, status, err)
	}
	g.expect(client, "whoami", "home.example.com")
	client.Close()
	g.recovered()
}

// TestMalformed sends every type of message with broken content, at every
// stage of a connection.
func TestMalformed(t *testing.T) {
	g := open(t)
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 60)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	contents := [][]byte{nil, {0}, {0, 0, 0, 0}, {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, bytes.Repeat([]byte{0xff}, 40), noise, make([]byte, 300)}
	stages := []func() *raw{
		func() *raw { return dialRaw(t, g.addr) },
		func() *raw {
			c := dialRaw(t, g.addr)
			if err := c.exchangeKeys(); err != nil {
				t.Fatal(err)
			}
			return c
		},
		func() *raw { return dialAuth(t, g.addr) },
		g.loggedIn,
		func() *raw { c := g.loggedIn(); c.session(t); return c },
	}
	for _, stage := range stages {
		for _, content := range contents[len(contents)-times(2, len(contents)):] {
			c := stage()
			for kind := range 256 {
				if c.packet(append([]byte{byte(kind)}, content...)) != nil || c.ended() {
					c.Close()
					c = stage()
				}
			}
			c.Close()
		}
	}
	g.recovered()
}

// ended reports whether the server has closed the connection.
func (c *raw) ended() bool {
	c.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
	defer c.SetReadDeadline(time.Now().Add(30 * time.Second))
	_, err := io.Copy(io.Discard, c.r)
	return !isTimeout(err)
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// startBatch returns the channel of a batch that runs.
func startBatch(t testing.TB, client *gossh.Client) gossh.Channel {
	t.Helper()
	channel := openSession(t, client)
	if ok, err := channel.SendRequest("exec", true, text("update -")); !ok || err != nil {
		t.Fatal(ok, err)
	}
	io.WriteString(channel, "203.0.113.1\n")
	channel.Read(make([]byte, 100)) // its reply
	return channel
}

// TestOneCommandPerChannel asks for a second command on a channel.
func TestOneCommandPerChannel(t *testing.T) {
	g := open(t)
	client := g.mustDial(g.owner)
	channel := openSession(t, client)
	if ok, err := channel.SendRequest("exec", true, text("update -")); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, request := range []string{"exec", "shell", "subsystem"} {
		if ok, _ := channel.SendRequest(request, true, text("update 203.0.113.250")); ok {
			t.Errorf("%s beside a command", request)
		}
	}
	io.WriteString(channel, "203.0.113.251\n")
	channel.CloseWrite()
	if out, err := io.ReadAll(channel); string(out) != "good 203.0.113.251 home.example.com\n" {
		t.Errorf("%q, %v", out, err)
	}
	client.Close()
	g.recovered()
}

// TestEverythingElse asks for all that an SSH server may offer, and dnsgate
// does not; the command after it still runs.
func TestEverythingElse(t *testing.T) {
	g := open(t)
	client := g.mustDial(g.owner)
	for _, kind := range []string{"direct-tcpip", "forwarded-tcpip", "x11", "auth-agent@openssh.com", "tun@openssh.com",
		"direct-streamlocal@openssh.com", "forwarded-streamlocal@openssh.com", ""} {
		if _, _, err := client.OpenChannel(kind, nil); err == nil {
			t.Errorf("channel %q opens", kind)
		}
	}
	if _, err := client.Dial("tcp", "127.0.0.1:22"); err == nil {
		t.Error("it forwards")
	}
	for _, request := range []string{"tcpip-forward", "cancel-tcpip-forward", "streamlocal-forward@openssh.com",
		"hostkeys-prove-00@openssh.com", "no-more-sessions@openssh.com", "keepalive@openssh.com", ""} {
		if ok, _, err := client.SendRequest(request, true, text("127.0.0.1")); ok || err != nil {
			t.Errorf("global request %q: %v, %v", request, ok, err)
		}
	}
	channel := openSession(t, client)
	for _, request := range []string{"x11-req", "auth-agent-req@openssh.com", "env", "signal", "break", "xon-xoff", "exit-status", ""} {
		if ok, err := channel.SendRequest(request, true, text("LANG")); ok || err != nil {
			t.Errorf("request %q: %v, %v", request, ok, err)
		}
	}
	if ok, err := channel.SendRequest("exec", true, text("whoami")); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if out, _ := io.ReadAll(channel); !bytes.Contains(out, []byte("home.example.com")) {
		t.Errorf("whoami: %q", out)
	}
	for _, subsystem := range []string{"sftp", "netconf", "whoami", ""} {
		channel := openSession(t, client)
		if ok, _ := channel.SendRequest("subsystem", true, text(subsystem)); ok {
			t.Errorf("subsystem %q", subsystem)
		}
		io.Copy(io.Discard, channel) // it must end
	}
	client.Close()
	g.recovered()
}

// TestUnsolicitedReplies answers what nobody asked.
func TestUnsolicitedReplies(t *testing.T) {
	g := open(t)
	c := g.loggedIn()
	channel := c.session(t)
	for range 1000 {
		for _, kind := range []byte{81, 82} {
			if err := c.packet([]byte{kind}); err != nil {
				t.Fatal(err)
			}
		}
		for _, kind := range []byte{99, 100} {
			if err := c.send(channelRequest{Recipient: channel, Type: "x"}); err != nil {
				t.Fatal(err)
			}
			if err := c.packet([]byte{kind, 0, 0, 0, byte(channel)}); err != nil {
				break
			}
		}
	}
	c.Close()
	for _, kind := range []byte{91, 92} { // of a channel that the server would have opened
		c := g.loggedIn()
		channel := c.session(t)
		c.packet(append([]byte{kind, 0, 0, 0, byte(channel)}, make([]byte, 12)...))
		if _, err := io.Copy(io.Discard, c.r); isTimeout(err) {
			t.Errorf("message %d is accepted", kind)
		}
		c.Close()
	}
	g.recovered()
}

// TestUnreadAnswers sends pings (OpenSSH's PROTOCOL, section 1.9) whose
// answers, as long as themselves, it never reads.
func TestUnreadAnswers(t *testing.T) {
	ping := append([]byte{192}, text(strings.Repeat("x", 200<<10))...)
	attack := func(c *raw) {
		c.SetWriteDeadline(time.Now().Add(1500 * time.Millisecond))
		for c.packet(ping) == nil {
		}
	}
	n := startNaive(t)
	before := n.rss()
	var attacks sync.WaitGroup
	for range 10 {
		c := n.loggedIn()
		attacks.Go(func() { attack(c) })
	}
	attacks.Wait()
	if held := n.rss() - before; held < 30 {
		t.Errorf("the naive server is better than thought: %d MiB", held)
	}
	g := open(t, shorter(3*time.Second))
	var conns []*raw
	for range times(10, 50) {
		c := g.loggedIn()
		attacks.Go(func() { attack(c) })
		conns = append(conns, c)
	}
	attacks.Wait()
	held := g.held()
	t.Logf("%d MiB held for %d clients", held, len(conns))
	if held > len(conns) {
		t.Errorf("%d MiB held for %d clients", held, len(conns))
	}
	for _, c := range conns {
		c.Close()
	}
	g.recovered()
}

// TestUnreadOutput does not read what a command says, and then sends requests
// on all its channels, whose answers have to wait.
func TestUnreadOutput(t *testing.T) {
	g := open(t, shorter(10*time.Second))
	c := g.loggedIn()
	defer c.Close()
	var channels []uint32
	for range 2 {
		channel := c.session(t)
		channels = append(channels, channel)
		c.send(channelRequest{channel, "exec", false, text("update -")})
		for range 8 {
			c.send(channelData{channel, bytes.Repeat([]byte("x\n"), 1<<14)})
		}
	}
	for range 4 {
		channels = append(channels, c.session(t))
	}
	last := ""
	for last != fmt.Sprint(g.Connections(), g.held()) { // until nothing moves
		last = fmt.Sprint(g.Connections(), g.held())
		time.Sleep(time.Second)
	}
	before := g.held()
	c.SetWriteDeadline(time.Now().Add(2 * time.Second))
	for i := 0; ; i++ {
		if c.send(channelRequest{channels[i%len(channels)], "x", true, make([]byte, 32<<10)}) != nil {
			break
		}
	}
	t.Logf("%d MiB, then %d", before, g.held())
	const queue = 16 // requests that the library keeps for a channel
	if held, most := g.held()-before, len(channels)*queue*(32<<10)>>20; held > most {
		t.Errorf("%d MiB held for requests, %d are the most", held, most)
	}
	c.Close()
	g.recovered()
}

// TestKeyExchangeStorm exchanges keys again and again.
func TestKeyExchangeStorm(t *testing.T) {
	storm := func(c *raw) (n int) {
		for n = 0; n < 200 && c.exchangeKeys() == nil; n++ {
		}
		c.Close()
		return n
	}
	n := startNaive(t)
	if n := storm(n.loggedIn()); n < 200 {
		t.Errorf("the naive server is better than thought: %d key exchanges", n)
	}
	g := open(t)
	began := time.Now()
	if n, most := storm(g.loggedIn()), 17+int(time.Since(began)/time.Second); n > most {
		t.Errorf("%d key exchanges", n)
	}
	if n := storm(dialAuth(t, g.addr)); n > 17 {
		t.Errorf("%d key exchanges before the login", n)
	}
	g.recovered()
}

// TestJunk sends other things than a version.
func TestJunk(t *testing.T) {
	g := open(t)
	for name, junk := range map[string]string{
		"lines":     strings.Repeat(strings.Repeat("x", 200)+"\n", 5000),
		"no line":   strings.Repeat("x", 100_000),
		"HTTP":      "GET / HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat("\r\n", 50_000),
		"zeros":     strings.Repeat("\x00", 100_000),
		"SSH 1":     "SSH-1.5-x\r\n" + strings.Repeat("\x00", 100_000),
		"TLS":       "\x16\x03\x01" + strings.Repeat("\xff", 100_000),
		"no packet": "SSH-2.0-x\r\n" + strings.Repeat("\xff", 100_000),
	} {
		nc, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(5 * time.Second))
		io.WriteString(nc, junk)
		if _, err := io.Copy(io.Discard, nc); isTimeout(err) {
			t.Errorf("%s: still open", name)
		}
		nc.Close()
	}
	g.recovered()
}

// TestLoginBytes sends more before the login than a login takes, slowly
// enough to be read, and a packet that only says that it is long.
func TestLoginBytes(t *testing.T) {
	g := open(t)
	c := dialAuth(t, g.addr)
	sent := 0
	for ignore := append([]byte{2}, make([]byte, 1000)...); sent < 1<<20; sent += len(ignore) {
		if c.packet(ignore) != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if sent > 100<<10 {
		t.Errorf("%d bytes before the login", sent)
	}
	c.Close()
	for _, stage := range []func() *raw{func() *raw { return dialRaw(t, g.addr) }, func() *raw { return dialAuth(t, g.addr) }} {
		c := stage()
		c.Write([]byte{0, 3, 0xff, 0xf0, 4})
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.Copy(io.Discard, c.r); isTimeout(err) {
			t.Error("a packet of 256 KiB is waited for before the login")
		}
		c.Close()
	}
	g.recovered()
}

// fillWindows opens all channels of a connection, runs line on each unless it
// is empty, and sends as much on both input streams as the windows take.
func fillWindows(t testing.TB, c *raw, line string) {
	t.Helper()
	for range 10 {
		c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		if c.send(channelOpen{Type: "session", Window: 1 << 20, MaxPacket: 1 << 15}) != nil {
			return
		}
		p, err := c.want(91)
		if err != nil {
			return // it reads no further
		}
		channel := binary.BigEndian.Uint32(p[5:])
		if line != "" {
			c.send(channelRequest{channel, "exec", false, text(line)})
		}
		block := make([]byte, 1<<15)
		c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		for i := range 64 {
			if i%2 == 0 {
				err = c.send(channelData{channel, block})
			} else {
				err = c.send(channelExtended{channel, 1, block})
			}
			if err != nil {
				return
			}
		}
	}
}

// TestUnreadInput sends input that no command reads: before a command, with
// one that reads none, and with a batch.
func TestUnreadInput(t *testing.T) {
	n := startNaive(t)
	for range 5 {
		fillWindows(t, n.loggedIn(), "")
	}
	time.Sleep(500 * time.Millisecond)
	if held := n.rss(); held < 90 {
		t.Errorf("the naive server is better than thought: %d MiB", held)
	}
	for _, line := range []string{"", "whoami"} {
		g := open(t, shorter(5*time.Second)) // when a reader that is held back ends
		var conns []*raw
		for range times(5, 20) {
			c := g.loggedIn()
			fillWindows(t, c, line)
			conns = append(conns, c)
		}
		held := g.held()
		t.Logf("%q: %d MiB held for %d connections", line, held, len(conns))
		// 320 KiB ahead of the work, and what the race detector and the heap's
		// rounding add; the naive server holds 20 MiB for each.
		if held > 2*len(conns) {
			t.Errorf("%q: %d MiB held for %d connections", line, held, len(conns))
		}
		for _, c := range conns {
			c.Close()
		}
		g.recovered()
	}
}

// TestBatches runs more commands that read their input than one key, and all
// keys, may.
func TestBatches(t *testing.T) {
	g := open(t)
	client := g.mustDial(g.owner)
	var batches []gossh.Channel
	for range 4 {
		batches = append(batches, startBatch(t, client))
	}
	out, status, err := run(client, "update -")
	if err != nil || status != 75 || !strings.HasPrefix(out, "abuse ") {
		t.Errorf("a fifth batch: %q, %d, %v", out, status, err)
	}
	g.expect(client, "update 203.0.113.2", "good ")
	for _, channel := range batches {
		channel.CloseWrite()
		io.Copy(io.Discard, channel)
	}
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	session.Stdin = strings.NewReader(strings.Repeat("203.0.113.3\n", 1000))
	if out, err := session.Output("update -"); err != nil || strings.Count(string(out), "\n") != 1000 {
		t.Errorf("a batch afterwards: %d lines, %v", bytes.Count(out, []byte("\n")), err)
	}
	client.Close()
	g.recovered()
}

// TestBigBatch sends more than a window holds, beside other commands on the
// connection: nothing may wait for ever.
func TestBigBatch(t *testing.T) {
	g := open(t)
	client := g.mustDial(g.owner)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	const lines = 20_000
	session.Stdin = strings.NewReader(strings.Repeat("203.0.113.3"+strings.Repeat(" ", 300)+"\n", lines))
	done := make(chan error)
	go func() {
		out, err := session.Output("update -")
		if n := bytes.Count(out, []byte("\n")); n != lines {
			err = fmt.Errorf("%d lines: %w", n, err)
		}
		done <- err
	}()
	for range 50 {
		g.expect(client, "whoami", "home.example.com")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	client.Close()
	g.recovered()
}

// TestInputOfOthers sends much input with commands that read none: they are
// still answered.
func TestInputOfOthers(t *testing.T) {
	g := open(t)
	client := g.mustDial(g.owner)
	for range 20 {
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		session.Stdin = strings.NewReader(strings.Repeat("x", 5<<20))
		out, err := session.Output("update 203.0.113.4")
		// io.EOF says that not all of the input was taken.
		if err != nil && !errors.Is(err, io.EOF) || !strings.Contains(string(out), " 203.0.113.4 home.example.com\n") {
			t.Fatalf("%q, %v", out, err)
		}
	}
	client.Close()
	g.recovered()
}
