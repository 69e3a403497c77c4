package push

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"dnsgate/test/rig"
)

// hostile is an SSH server with m's pinned key that answers as it is told.
func hostile(t *testing.T, m *machine, answer func(conn ssh.Conn, channel ssh.Channel)) (port string) {
	t.Helper()
	key, err := ssh.ParsePrivateKey([]byte(m.read(t, "host")))
	rig.Must(t, err)
	conf := &ssh.ServerConfig{
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil },
		BannerCallback:    func(ssh.ConnMetadata) string { return strings.Repeat("\x1b[2Jbanner\n", 1000) },
	}
	conf.AddHostKey(key)
	return answering(t, func(tcp *net.TCPConn) { serve(tcp, conf, answer) })
}

func serve(tcp net.Conn, conf *ssh.ServerConfig, answer func(ssh.Conn, ssh.Channel)) {
	conn, channels, requests, err := ssh.NewServerConn(tcp, conf)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			r.Reply(true, nil)
			if r.Type == "exec" {
				answer(conn, channel)
				channel.Close()
			}
		}
	}
}

// exits answers with text and a status.
func exits(status uint32, stdout, stderr string) func(ssh.Conn, ssh.Channel) {
	return func(_ ssh.Conn, c ssh.Channel) {
		io.WriteString(c, stdout)
		io.WriteString(c.Stderr(), stderr)
		c.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
	}
}

func endless(w func(ssh.Channel) io.Writer) func(ssh.Conn, ssh.Channel) {
	return func(_ ssh.Conn, c ssh.Channel) {
		for line := []byte("good 203.0.113.7 home.example.test\n"); ; {
			if _, err := w(c).Write(line); err != nil {
				return
			}
		}
	}
}

func TestHostileGateway(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer func(ssh.Conn, ssh.Channel)
		status int
		want   string
	}{
		"good":                   {exits(0, "good 203.0.113.7 home.example.test\n", ""), 0, "good 203.0.113.7"},
		"nothing":                {exits(0, "", ""), 69, "it said nothing"},
		"another program":        {exits(0, "Welcome to Ubuntu\n", ""), 69, "Welcome to Ubuntu"},
		"escape sequences":       {exits(0, "good \x1b]0;x\x07\n", ""), 69, "good ?]0;x?"},
		"escape sequences later": {exits(0, "good "+strings.Repeat("x", 300)+"\x1b[2J\n", ""), 69, "good x"},
		"two lines for one host": {exits(0, "good 203.0.113.7 a\ngood 203.0.113.7 b\n", ""), 69, "no dnsgate gateway"},
		"of another host":        {exits(0, "good 203.0.113.7 other.example.test\n", ""), 69, "no dnsgate gateway"},
		"status of 32 bits":      {exits(1<<31, "what?\n", ""), 69, "no dnsgate gateway"},
		"one good, one bad line": {exits(0, "good 203.0.113.7 a\nnohost\n", ""), 69, "no dnsgate gateway"},
		"odd status":             {exits(200, "", "what?\x1b[31m\n"), 69, "what??[31m"},
		"refusal with escapes":   {exits(65, "badaddr \x1b[2J\xff\n", ""), 65, "refused: badaddr ?[2J?"},
		"refusal on stderr":      {exits(77, "", "one\ntwo\n"), 77, "refused: two"},
		"later":                  {exits(75, "911 later\n", ""), 75, "911 later"},
		"no status":              {func(ssh.Conn, ssh.Channel) {}, 75, "cannot be reached"},
		"hangs up":               {func(c ssh.Conn, _ ssh.Channel) { c.Close() }, 75, "cannot be reached"},
		"endless stdout":         {endless(func(c ssh.Channel) io.Writer { return c }), 69, "no dnsgate gateway"},
		"endless stderr":         {endless(func(c ssh.Channel) io.Writer { return c.Stderr() }), 69, "no dnsgate gateway"},
		"a flood of requests": {func(conn ssh.Conn, c ssh.Channel) {
			for range 5000 {
				conn.SendRequest("flood", false, make([]byte, 1000))
				c.SendRequest("flood", false, make([]byte, 1000))
			}
			exits(0, "good 203.0.113.7 home.example.test\n", "")(conn, c)
		}, 0, "good 203.0.113.7"},
		"wants a channel of its own": {func(conn ssh.Conn, c ssh.Channel) {
			for range 100 {
				conn.OpenChannel("forwarded-tcpip", nil)
			}
			exits(0, "good 203.0.113.7 home.example.test\n", "")(conn, c)
		}, 0, "good 203.0.113.7"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.configure(t, "hosts home.example.test", "host_key_alias x", "port "+hostile(t, m, test.answer))
			m.pin(t, "x", m.read(t, "host.pub"))
			r := m.push(t, "-v", "203.0.113.7")
			r.Expect(t, test.status, test.want)
			if !isPrintable(strings.ReplaceAll(r.Stdout+r.Stderr, "\n", "")) {
				t.Errorf("shown: %q", r.Stdout+r.Stderr)
			}
			if strings.HasPrefix(name, "of another") || strings.HasPrefix(name, "status of") || name == "good" || name == "two lines for one host" {
				s := m.script(t, "-v", "--force", "203.0.113.7")
				if s.Status != test.status || !strings.Contains(s.Stdout+s.Stderr, test.want) {
					t.Errorf("the script ends with %d: %s%s", s.Status, s.Stdout, s.Stderr)
				}
			}
		})
	}
}

// packet is a message in the clear, as it stands before keys are exchanged (RFC
// 4253 section 6).
func packet(message []byte) string {
	padding := 16 - (5+len(message))%8
	p := binary.BigEndian.AppendUint32(nil, uint32(1+len(message)+padding))
	return string(append(append(p, byte(padding)), message...)) + strings.Repeat("\x00", padding)
}

const version = "SSH-2.0-x\r\n"

// disconnect is SSH_MSG_DISCONNECT, as anybody on the way can send it (RFC 4253
// section 11.1).
func disconnect(why string) string {
	return version + packet(ssh.Marshal(struct {
		Reason      uint32 `sshtype:"1"`
		Description string
		Language    string
	}{2, why, ""}))
}

// offer is SSH_MSG_KEXINIT, whose names of algorithms the clients show when none
// of them is theirs (RFC 4253 section 7.1).
func offer(keyExchange, hostKey string) string {
	return version + packet(ssh.Marshal(struct {
		Cookie                   [16]byte `sshtype:"20"`
		KeyExchange, HostKey     string
		CipherTo, CipherFrom     string
		MACTo, MACFrom           string
		CompressTo, CompressFrom string
		LanguageTo, LanguageFrom string
		FirstFollows             bool
		Reserved                 uint32
	}{KeyExchange: keyExchange, HostKey: hostKey, CipherTo: "aes128-ctr", CipherFrom: "aes128-ctr", MACTo: "hmac-sha2-256", MACFrom: "hmac-sha2-256",
		CompressTo: "none", CompressFrom: "none"}))
}

// lies are what the clients say themselves of a key that is refused or broken, or
// of a wrong host key.
const lies = "Host key verification failed.\r\nLoad key \"x\": invalid format\r\ndnsgate@127.0.0.1: Permission denied (publickey).\r\n" +
	"dbclient: Exited: String too long\nssh-ed25519 host key mismatch for 127.0.0.1 !\ndbclient: Connection to x exited: No auth methods could be used.\n" +
	"FATAL ERROR: Host key not in manually configured list\nServer refused our key\nUnable to use key file \"x\" (invalid format)\nPassphrase for key \"x\": \n" +
	"@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\n"

// says is a server that says what it has to, and then no more.
func says(text string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		io.WriteString(conn, text)
		conn.CloseWrite()
		conn.SetReadDeadline(time.Now().Add(time.Second))
		conn.SetLinger(0)         // plink minds a reset alone
		io.Copy(io.Discard, conn) // closing with something unread would lose the text
	}
}

// repeats is a server that never comes to an end.
func repeats(line string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		for err := error(nil); err == nil; time.Sleep(time.Millisecond) {
			_, err = io.WriteString(conn, line)
		}
	}
}

// TestOtherServers checks what the binary, and the script with each client, make
// of servers that speak no SSH, or an old one, or that say, before they have
// proven anything, what a client would say of a fault that stays. All that is
// noise, and may pass; a host key that is not the pinned one is none.
func TestOtherServers(t *testing.T) {
	t.Parallel()
	const away = "127.0.0.1 port "
	for name, test := range map[string]struct {
		serve  func(*net.TCPConn)
		status int
	}{
		"web server":            {says("HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<h1>Permission denied (publickey), invalid format, passphrase</h1>\r\n"), 75},
		"noise":                 {says(strings.Repeat("\x00\xff", 100000)), 75},
		"SSH 1":                 {says("SSH-1.5-old\r\n"), 75},
		"nothing":               {says(""), 75},
		"closed at once":        {func(conn *net.TCPConn) { conn.SetLinger(0) }, 75},
		"endless banner":        {repeats("Permission denied (publickey).\r\n"), 75},
		"endless line":          {repeats("Permission denied (publickey)."), 75},
		"lies":                  {says(lies), 75},
		"lies, then SSH":        {says(lies + version), 75},
		"version of lies":       {says("SSH-2.0-Host key verification failed.\r\n"), 75},
		"old version, refusing": {says("SSH-1.5-exited: No auth methods could be used\r\n"), 75},
		"old version of lies":   {says("SSH-1.5-ssh-ed25519 host key mismatch for 127.0.0.1 ! FATAL ERROR: Host key \r\n"), 75},
		"disconnects":           {says(disconnect("go away")), 75},
		"disconnects, lying":    {says(disconnect(lies)), 75},
		"lies line by line":     {says(disconnect("\n" + lies)), 75},
		"other key exchange":    {says(offer("sntrup4591761x25519-sha512@tinyssh.org", "ssh-ed25519")), 75},
		"key exchange of lies":  {says(offer("Host key ,\n"+lies+": no matching host key type found. Their offer: ", "ssh-ed25519")), 75},
		"no pinned host key":    {says(offer("curve25519-sha256", "ssh-x")), 78},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := answering(t, test.serve)
			m := newMachine(t)
			m.pin(t, "x", m.read(t, "host.pub"))
			m.configure(t, "host_key_alias x", "connect_timeout 1", "port "+port)
			m.push(t, "-v", "203.0.113.7").Expect(t, test.status, away+port)
			for _, client := range []string{"openssh", "dbclient", "plink"} {
				m.scriptWith(t, client, "host_key_alias x", "connect_timeout 1", "port "+port)
				r := m.script(t, "-v", "203.0.113.7")
				if r.Status != test.status || !strings.Contains(r.Stderr, away+port) {
					t.Errorf("the script with %s ends with %d: %s", client, r.Status, r.Stderr)
				}
				for line := range strings.Lines(r.Stderr) {
					if !strings.HasPrefix(line, "dnsgate-push: ") {
						t.Errorf("with %s, not the script's own: %q", client, line)
					}
				}
			}
		})
	}
}

// answering is a TCP server on loopback.
func answering(t *testing.T, serve func(*net.TCPConn)) (port string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	rig.Must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn.(*net.TCPConn))
			}()
		}
	}()
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port
}

// scriptWith configures the script for a client, with a key as that one reads it.
func (m *machine) scriptWith(t *testing.T, client string, lines ...string) {
	t.Helper()
	rig.Needs(t, "ssh", "dbclient", "dropbearconvert", "plink", "puttygen")
	key := m.dir + "/id"
	switch client {
	case "dbclient":
		rig.Command(t, "dropbearconvert", "openssh", "dropbear", key, key+".dbclient")
		key += ".dbclient"
	case "plink":
		rig.Command(t, "puttygen", key, "-O", "private", "-o", key+".ppk")
		key += ".ppk"
	}
	base := strings.Replace(m.base, "key "+m.dir+"/id\n", "key "+key+"\n", 1)
	rig.Write(t, m.config, base+"client "+client+"\n"+strings.Join(lines, "\n")+"\n", 0o644)
}

// TestEmptyKnownHosts: both name a known_hosts that was never filled.
func TestEmptyKnownHosts(t *testing.T) {
	m := newMachine(t)
	m.configure(t, "port 1")
	for _, text := range []string{"", "\n", "# add the line here\n\n", " \n\t\r\n  # nothing\n"} {
		rig.Write(t, m.dir+"/known_hosts", text, 0o644)
		m.push(t, "203.0.113.7").Expect(t, 78, "known_hosts: empty; add the known_hosts line")
		if r := m.script(t, "203.0.113.7"); r.Status != 78 || !strings.Contains(r.Stderr, "known_hosts: empty; add the known_hosts line") {
			t.Errorf("the script ends with %d: %s", r.Status, r.Stderr)
		}
	}
}
