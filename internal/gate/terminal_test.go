package gate_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/gate"
	"dnsgate/test/rig"

	gossh "golang.org/x/crypto/ssh"
)

// person is somebody at a terminal.
type person struct {
	t       *testing.T
	session *gossh.Session
	keys    io.WriteCloser
	shown   rig.Output
}

// sit opens a session with a terminal of so many rows and columns, and begins a
// command there.
func sit(t *testing.T, client *gossh.Client, rows, columns int, line string) *person {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	p := &person{t: t, session: session}
	session.Stdout, session.Stderr = &p.shown, &p.shown
	if p.keys, err = session.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := session.RequestPty("xterm-256color", rows, columns, gossh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	if err := session.Start(line); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *person) types(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.keys, text); err != nil {
		p.t.Fatal(err)
	}
}

// sees waits until the terminal was sent text.
func (p *person) sees(text string) {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(p.shown.String(), text) {
			return
		}
	}
	p.t.Fatalf("%q is not shown: %q", text, p.shown.String())
}

// leaves waits for the end, and its exit status.
func (p *person) leaves(status int) {
	p.t.Helper()
	err := p.session.Wait()
	var exit *gossh.ExitError
	switch {
	case err == nil && status == 0:
	case errors.As(err, &exit) && exit.ExitStatus() == status:
	default:
		p.t.Fatalf("it ended with %v, not %d: %q", err, status, p.shown.String())
	}
	if text := strings.ReplaceAll(p.shown.String(), "\r\n", ""); strings.Contains(text, "\n") {
		p.t.Errorf("a line does not end by CR LF: %q", p.shown.String())
	}
}

func operator(key gossh.Signer, role string) string {
	return fmt.Sprintf("command=\"dnsgate %s\" %s", role, gossh.MarshalAuthorizedKey(key.PublicKey()))
}

// withOperator is a gateway, and a connection of its operator.
func withOperator(t *testing.T, role string, change ...func(*gate.Options)) (*gateway, *gossh.Client) {
	g := open(t, change...)
	key := newKey(t)
	g.authorize(operator(key, role))
	return g, g.mustDial(key)
}

func TestOnlyKeysThatMayLookGetATerminal(t *testing.T) {
	g, admin := withOperator(t, "admin")
	p := sit(t, admin, 24, 80, "status")
	p.leaves(0)
	p.sees("publisher tinydns")
	session, err := g.mustDial(g.owner).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if err := session.RequestPty("xterm", 24, 80, nil); err == nil {
		t.Error("a key that updates got a terminal")
	}
	if out, err := session.Output("top"); err == nil || !strings.HasPrefix(string(out), "badcmd") {
		t.Errorf("%q, %v", out, err)
	}
}

func TestScreen(t *testing.T) {
	for _, role := range []string{"admin", "monitor"} {
		g, client := withOperator(t, role)
		p := sit(t, client, 24, 80, "top")
		p.sees("home.example.com")
		p.types("o")
		if role == "admin" {
			p.sees("Take home.example.com offline?")
			p.types("y")
			p.sees("home.example.com is offline")
			g.expect(client, "hosts", "")
			if out, _, _ := run(client, "hosts"); out != "" {
				t.Errorf("it has records: %q", out)
			}
		} else {
			p.sees("may look, and no more")
			p.types("r")
		}
		p.types("q")
		p.leaves(0)
		if text := p.shown.String(); strings.Count(text, "\x1b[?1049h") != 1 || strings.Count(text, "\x1b[?1049l") != 1 {
			t.Errorf("the terminal is left as it was not: %q", text)
		}
		client.Close()
		g.recovered()
	}
}

func TestScreenWithoutATerminal(t *testing.T) {
	g, client := withOperator(t, "monitor")
	g.expect(client, "top", "\ntinydns ")
	if out, status, err := run(client, "top"); status != 0 || err != nil || strings.ContainsAny(out, "\x1b\r") {
		t.Errorf("%d, %v: %q", status, err, out)
	}
}

// What a client says of its size is never allocated for.
func TestHugeTerminals(t *testing.T) {
	g, client := withOperator(t, "admin")
	p := sit(t, client, 5000, 20000, "top")
	p.sees("home.example.com")
	before := g.use().heap
	for i := range 20_000 { // as fast as it goes
		if err := p.session.WindowChange(1+i*7919%5000, 1+i*104729%20000); err != nil {
			t.Fatal(err)
		}
	}
	p.types("\x1b[8;4000000000;4000000000t")
	p.types("2")
	p.sees("PUBLISHER")
	if most := g.use().heap; most > before+16<<20 {
		t.Errorf("%d MiB more than a screen", (most-before)>>20)
	}
	p.types("q")
	p.leaves(0)
	client.Close()
	g.recovered()
}

func TestPaste(t *testing.T) {
	for _, bracketed := range []bool{false, true} {
		g, client := withOperator(t, "admin")
		p := sit(t, client, 24, 80, "top")
		p.sees("home.example.com")
		text := strings.Repeat("/x", 512<<10)
		if bracketed {
			text = "\x1b[200~" + strings.Repeat("oyrq\r", 200<<10) + "\x1b[201~"
		}
		p.types(text)
		if !bracketed {
			p.types("\x1b")
		}
		p.types("2")
		p.sees("PUBLISHER")
		p.types("q")
		p.leaves(0)
		g.expect(client, "hosts", "home.example.com. ") // nothing of it was obeyed
		client.Close()
		g.recovered()
	}
}

func TestScreensEnd(t *testing.T) {
	t.Run("with the key", func(t *testing.T) {
		g, client := withOperator(t, "admin")
		p := sit(t, client, 24, 80, "top")
		p.sees("home.example.com")
		g.authorize()
		p.leaves(77)
		p.sees("nohost")
	})
	t.Run("with the client", func(t *testing.T) {
		g, client := withOperator(t, "admin")
		p := sit(t, client, 24, 80, "top")
		p.sees("home.example.com")
		client.Close()
		g.recovered()
	})
	t.Run("with the gateway", func(t *testing.T) {
		g, client := withOperator(t, "admin")
		p := sit(t, client, 24, 80, "top")
		p.sees("home.example.com")
		ending := make(chan struct{})
		go func() { g.Shutdown(t.Context()); close(ending) }()
		p.leaves(75)
		<-ending
	})
	t.Run("not by max_connection", func(t *testing.T) {
		g, client := withOperator(t, "admin", func(o *gate.Options) { o.Limits.MaxConnection = 4 * time.Second })
		p := sit(t, client, 24, 80, "top")
		p.sees("home.example.com")
		time.Sleep(5 * time.Second)
		p.types("2")
		p.sees("PUBLISHER")
		p.types("q")
		p.leaves(0)
		client.Close()
		g.recovered()
	})
	t.Run("when nobody reads", func(t *testing.T) {
		g, _ := withOperator(t, "admin", func(o *gate.Options) { o.Limits.IdleTimeout = time.Second })
		key := newKey(t)
		lines := []string{operator(key, "admin")}
		for i := range 80 { // to fill a screen with
			lines = append(lines, strings.TrimSpace(grant(newKey(t), "home.example.com"))+fmt.Sprint(" ", i, strings.Repeat(" comment", 20)))
		}
		g.authorize(lines...)
		client := g.mustDial(key)
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		keys, _ := session.StdinPipe()
		session.StdoutPipe() // its window is never opened again
		if err := session.RequestPty("xterm", 80, 240, nil); err != nil {
			t.Fatal(err)
		}
		if err := session.Start("top"); err != nil {
			t.Fatal(err)
		}
		for i := 0; ; i++ { // each tab is another screen full
			if _, err := io.WriteString(keys, "3\x0c"); err != nil {
				break
			}
			time.Sleep(time.Millisecond)
			if i > 300_000 {
				t.Fatal("it goes on")
			}
		}
		client.Close()
		g.recovered()
	})
}

func TestFourScreens(t *testing.T) {
	g, client := withOperator(t, "admin")
	before := g.use().heap
	var open []*person
	for range 4 {
		p := sit(t, client, 5000, 20000, "top")
		p.sees("home.example.com")
		open = append(open, p)
	}
	if each := int64(g.use().heap-before) / 4; each > 16<<20 {
		t.Errorf("a screen holds %d MiB", each>>20)
	} else {
		t.Logf("a screen holds %d KiB", each>>10)
	}
	fifth := sit(t, client, 24, 80, "top")
	fifth.leaves(75)
	fifth.sees("abuse 4 screens are open")
	for _, p := range open {
		p.types("q")
		p.leaves(0)
	}
	p := sit(t, client, 24, 80, "top")
	p.sees("home.example.com")
	p.types("q")
	p.leaves(0)
	client.Close()
	g.recovered()
}
