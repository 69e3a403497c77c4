package control

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/command"
)

// serve serves a socket below a folder of its own until the test ends.
func serve(t *testing.T, folder string, change func(*Options)) string {
	t.Helper()
	path := filepath.Join(folder, "control")
	o := Options{
		Commands: &command.Interpreter{Log: slog.New(slog.DiscardHandler)},
		Limits:   func() Limits { return Limits{IdleTimeout: 200 * time.Millisecond, MaxConnection: time.Minute} },
		Log:      slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	s, err := Listen(path, false, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket stays: %v", err)
		}
	})
	return path
}

func call(t *testing.T, path string, req Request) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	status, err := Call(context.Background(), path, req, Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	if err != nil {
		t.Fatal(err)
	}
	return status, o.String(), e.String()
}

const fingerprint = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// TestLongPath: the folder's name alone is longer than an address can be.
func TestLongPath(t *testing.T) {
	folder := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path := serve(t, folder, nil)
	if status, out, _ := call(t, path, Request{Forced: "dnsgate admin", Command: "version"}); status != 0 || !strings.HasPrefix(out, "dnsgate") {
		t.Errorf("status %d, %q", status, out)
	}
}

// TestRequests: what a caller may say.
func TestRequests(t *testing.T) {
	path := serve(t, t.TempDir(), nil)
	allow := Request{Forced: "dnsgate allow a.example.com", Command: "whoami", Key: fingerprint, From: "192.0.2.1"}
	for name, c := range map[string]struct {
		change func(*Request)
		status int
		says   string
	}{
		"whoami":      {func(*Request) {}, 0, "address      192.0.2.1"},
		"shell":       {func(r *Request) { r.Shell = true }, 64, "update"},
		"no grant":    {func(r *Request) { r.Forced = "dnsgate" }, 77, `none of "dnsgate allow`},
		"no host":     {func(r *Request) { r.Forced = "dnsgate allow a..b" }, 77, "a..b"},
		"no key":      {func(r *Request) { r.Key = "SHA256:x y" }, 77, "not a key's fingerprint"},
		"no address":  {func(r *Request) { r.From = "192.0.2.1 x" }, 77, "client's address"},
		"a zone":      {func(r *Request) { r.From = "fe80::1%x y\nz" }, 77, `"fe80::1%x y\nz" is not a client's address`},
		"admin's own": {func(r *Request) { r.Command = "status" }, 64, "there is no command"},
	} {
		t.Run(name, func(t *testing.T) {
			req := allow
			c.change(&req)
			status, out, errs := call(t, path, req)
			if status != c.status || !strings.Contains(out+errs, c.says) {
				t.Errorf("status %d, %q, %q", status, out, errs)
			}
		})
	}
}

// TestAccounts: the one account that may come here is believed its own grants,
// but not "dnsgate admin", and must name a key.
func TestAccounts(t *testing.T) {
	s := &Server{}
	by := who{uid: 1000, Account: Account{Name: "dyn"}}
	for _, c := range []struct {
		by   who
		req  Request
		says string
	}{
		{by, Request{Forced: "dnsgate allow a.example.com", Key: fingerprint}, ""},
		{by, Request{Forced: "dnsgate allow a.example.com"}, "names no key"},
		{by, Request{Forced: "dnsgate admin", Key: fingerprint}, "has it without :admin"},
		{who{uid: 1000, Account: Account{"dyn", true}}, Request{Forced: "dnsgate admin", Key: fingerprint}, ""},
	} {
		_, err := s.session(c.by, c.req)
		if got := ""; err != nil && (c.says == "" || !strings.Contains(err.Error(), c.says)) || err == nil && c.says != got {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestHostileCallers: garbage, silence and a client that does not read end, and
// cost others nothing.
func TestHostileCallers(t *testing.T) {
	path := serve(t, t.TempDir(), nil)
	for name, text := range map[string]string{
		"nothing": "", "garbage": "\x00\xff\n", "no line": strings.Repeat("x", 100), "a list": "[]\n",
		"too long": `{"forced":"` + strings.Repeat("x", maxRequest) + `"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go func() {
				io.WriteString(conn, text)
				conn.(*net.UnixConn).CloseWrite()
			}()
			conn.SetReadDeadline(time.Now().Add(30 * time.Second))
			if answer, err := io.ReadAll(conn); err != nil && errors.Is(err, os.ErrDeadlineExceeded) || len(answer) > 0 {
				t.Errorf("%q, %v", answer, err)
			}
		})
	}
	if status, _, _ := call(t, path, Request{Forced: "dnsgate admin", Command: "version"}); status != 0 {
		t.Errorf("others get status %d", status)
	}
}

// TestDrain: a command that runs when the gateway stops is ended and tells so; a
// client that does not read, or has not said what it wants, is not waited for.
func TestDrain(t *testing.T) {
	commands := &command.Interpreter{Log: slog.New(slog.DiscardHandler), TTL: func() uint32 { return 300 }}
	s, err := Listen(filepath.Join(t.TempDir(), "control"), false, Options{
		Commands: commands, Log: commands.Log,
		Limits: func() Limits { return Limits{IdleTimeout: 5 * time.Minute, MaxConnection: time.Hour} },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(ctx)
	}()
	batch := Request{Forced: "dnsgate allow a.example.com", Command: "update -", Key: fingerprint}
	in, never := io.Pipe()
	defer never.Close()
	var out bytes.Buffer
	ended := make(chan int)
	go func() {
		status, err := Call(t.Context(), s.path, batch, Streams{In: in, Out: &out, Err: io.Discard})
		if err != nil {
			t.Error(err)
		}
		ended <- status
	}()
	io.WriteString(never, "nonsense\n") // which the batch has asked for, once this returns

	silent, err := net.Dial("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	deaf, err := net.Dial("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	line, _ := json.Marshal(batch)
	deaf.Write(append(line, '\n'))
	for deaf.SetWriteDeadline(time.Now().Add(time.Second)); err == nil; { // until it is not read any more
		_, err = io.WriteString(deaf, "nonsense\n")
	}

	stop()
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	commands.Drain(brief)
	if status := <-ended; status != 75 || !strings.HasSuffix(out.String(), "911 the session ended before the batch did\n") {
		t.Errorf("status %d, %q", status, out.String())
	}
	began := time.Now()
	<-served
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the end took %v", took)
	}
}

// TestWrongServers: what stands at the socket's place must be the gateway.
func TestWrongServers(t *testing.T) {
	folder := t.TempDir()
	try := func(path string) error {
		_, err := Call(context.Background(), path, Request{Forced: "dnsgate admin", Command: "version"}, Streams{Out: io.Discard, Err: io.Discard})
		return err
	}
	if err := try(filepath.Join(folder, "none")); !errors.Is(err, ErrNotRunning) {
		t.Errorf("none: %v", err)
	}
	real := serve(t, folder, nil)
	link := filepath.Join(folder, "link")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if err := try(link); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a link: %v", err)
	}
	for name, answer := range map[string][]byte{
		"endless frame":  binary.BigEndian.AppendUint32([]byte{'o'}, 1<<31),
		"unknown frame":  {'?', 0, 0, 0, 0},
		"long status":    {'x', 0, 0, 0, 2, 0, 0},
		"half a frame":   {'o', 0, 0},
		"nothing at all": {},
	} {
		path := filepath.Join(folder, base64.RawURLEncoding.EncodeToString([]byte(name)))
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write(answer)
			conn.(*net.UnixConn).CloseWrite()
			io.Copy(io.Discard, conn)
			conn.Close()
		}()
		if err := try(path); err == nil {
			t.Errorf("%s is believed", name)
		}
		l.Close()
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("o\x00\x00\x00\x03abcx\x00\x00\x00\x01\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			kind, content, err := readFrame(r)
			if err != nil {
				return
			}
			var again bytes.Buffer
			if err := writeFrame(&again, kind, content); err != nil {
				t.Fatal(err)
			}
			k, c, err := readFrame(&again)
			if err != nil || k != kind || !bytes.Equal(c, content) {
				t.Fatalf("%q %q becomes %q %q, %v", kind, content, k, c, err)
			}
		}
	})
}
