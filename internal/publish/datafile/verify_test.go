package datafile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/test/publishing"

	"github.com/miekg/dns"
)

// tinydnsAddress is where the tests have tinydns serve: it always uses port 53.
const tinydnsAddress = "127.53.3.1"

// serveTinydns runs the real tinydns on root until the test ends.
func serveTinydns(t testing.TB, root string) (server string) {
	t.Helper()
	path := program(t, "tinydns", "tinydns")
	if os.Geteuid() != 0 {
		t.Skip("tinydns needs root")
	}
	cmd := exec.Command(path)
	cmd.Dir = root
	cmd.Env = []string{"ROOT=" + root, "IP=" + tinydnsAddress, "UID=65534", "GID=65534"}
	if err := os.Chmod(filepath.Dir(root), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return tinydnsAddress + ":53"
}

// stored is a store's Hosts for a Verifier.
type stored map[records.Name]records.Host

func (s stored) Hosts(_ context.Context, names []records.Name) ([]records.Host, error) {
	hosts := make([]records.Host, len(names))
	for i, name := range names {
		hosts[i] = s[name]
		hosts[i].Name = name
	}
	return hosts, nil
}

// has notes what is stored, and returns it.
func (s stored) has(hosts ...records.Host) []records.Host {
	for _, h := range hosts {
		s[h.Name] = h
	}
	return hosts
}

func newVerifier(t testing.TB, server string, timeout time.Duration, s stored) *Verifier {
	t.Helper()
	v, err := NewVerifier(server, timeout, s.Hosts)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerifyAgainstTinydns(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	write(t, filepath.Join(root, "data"), zone+"+*.wild.example.com:192.0.2.99\n&sub.example.com::ns.example.net\n")
	server := serveTinydns(t, root)
	target := newTarget(t, fileOptions(root))
	s := make(stored)
	v := newVerifier(t, server, 3*time.Second, s)
	whole := true
	for _, hosts := range [][]records.Host{
		{hostWith("h.example.com", "203.0.113.1", "203.0.113.2", "2001:db8::1"),
			hostWith("*.h.example.com", "203.0.113.3"), hostWith("_acme-challenge.h.example.com", strings.Repeat("t", 200))},
		{hostWith("h.example.com", "203.0.113.4")},
		{hostWith("h.example.com")},
		{hostWith("gone.wild.example.com")}, // the wildcard answers for it
	} {
		serve(t, target, whole, s.has(hosts...)...)
		whole = false
		for _, h := range hosts {
			if err := v.Check(context.Background(), []records.Name{h.Name}); err != nil {
				t.Errorf("%s: %v", h.Name, err)
			}
		}
	}

	v = newVerifier(t, server, 300*time.Millisecond, s)
	serve(t, target, false, s.has(hostWith("h.example.org", "203.0.113.1"), hostWith("h.sub.example.com", "203.0.113.2"))...)
	for name, why := range map[records.Name]string{
		"h.example.org":     "answer", // or not even that: tinydns is silent about other zones
		"h.sub.example.com": "it has no authority for the name",
	} {
		err := v.Check(context.Background(), []records.Name{name})
		var all publish.HostErrors
		var notServed *publish.NotServedError
		if !errors.As(err, &all) || !errors.As(all[name], &notServed) || notServed.Host.Name != name || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestVerifyHoldsNobodyUp waits for a host that is never served, while another
// is published and asked for.
func TestVerifyHoldsNobodyUp(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	write(t, filepath.Join(root, "data"), zone)
	server := serveTinydns(t, root)
	s := make(stored)
	hosts := s.has(hostWith("never.example.com", "203.0.113.1"), hostWith("h.example.com", "203.0.113.2"))
	s.has(hostWith("never.example.com", "203.0.113.9")) // not what is published
	updates := make(chan records.Update, 1)
	updates <- records.Update{Revision: 1, Whole: true, Hosts: hosts}
	target := newTarget(t, fileOptions(root))
	set := publish.NewSet(func() publish.Source { return source(updates) }, publishing.Quiet(), target)
	set.Verify(target, newVerifier(t, server, 20*time.Second, s))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { set.Run(ctx); close(ended) }()
	defer func() { stop(); <-ended }()

	never, cancel := context.WithCancel(ctx)
	waited := make(chan error, 1)
	go func() { waited <- set.Wait(never, []records.Name{"never.example.com"}, 1) }()
	if err := set.Wait(ctx, []records.Name{"h.example.com"}, 1); err != nil {
		t.Error(err)
	}
	select {
	case err := <-waited:
		t.Errorf("the other was not waiting: %v", err)
	default:
	}
	cancel()
	if err := <-waited; err == nil {
		t.Error("a host that is not served counts as published")
	}
}

// source is what a channel delivers.
type source chan records.Update

func (s source) Next(ctx context.Context) (records.Update, error) {
	select {
	case u := <-s:
		return u, nil
	case <-ctx.Done():
		return records.Update{}, ctx.Err()
	}
}

// TestVerifyBelieves no answer that somebody else could have given, or that
// answers something else, and says little of what came from outside.
func TestVerifyBelieves(t *testing.T) {
	s := make(stored)
	s.has(hostWith("h.example.com", "192.0.2.1"))
	record := func(text string) dns.RR {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		return rr
	}
	var many []dns.RR
	for i := range 2000 {
		many = append(many, record(fmt.Sprintf("h.example.com. A 198.18.%d.%d", i/256, i%256)))
	}
	for name, c := range map[string]struct {
		change func(m *dns.Msg)
		why    string // "": believed
	}{
		"right": {func(*dns.Msg) {}, ""},
		"upper": {func(m *dns.Msg) { m.Answer[0].Header().Name = "H.Example.COM." }, ""},
		"alias": {func(m *dns.Msg) {
			m.Answer = []dns.RR{record("h.example.com. CNAME x.example.net."), record("x.example.net. A 192.0.2.1")}
		}, ""},
		"question":  {func(m *dns.Msg) { m.Question[0].Name = "other.example.com." }, "another question"},
		"owner":     {func(m *dns.Msg) { m.Answer[0].Header().Name = "other.example.com." }, "answers nothing"},
		"class":     {func(m *dns.Msg) { m.Answer[0].Header().Class = dns.ClassCHAOS }, "answers nothing"},
		"query":     {func(m *dns.Msg) { m.Response = false }, "no answer to this question"},
		"authority": {func(m *dns.Msg) { m.Authoritative = false }, "no authority"},
		"many": {func(m *dns.Msg) {
			m.Answer = append(m.Answer, many...)
		}, "and 1993 more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // what is not believed is asked for until the time is over
			packets, streams := bothPorts(t)
			answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
				m := new(dns.Msg)
				m.SetReply(q)
				m.Authoritative = true
				if q.Question[0].Qtype == dns.TypeA && q.Question[0].Name == "h.example.com." {
					m.Answer = append(m.Answer, record("h.example.com. 300 IN A 192.0.2.1"))
					c.change(m)
					if _, udp := w.RemoteAddr().(*net.UDPAddr); udp && len(m.Answer) > 10 {
						m.Answer, m.Truncated = nil, true
					}
				}
				w.WriteMsg(m)
			})
			for _, s := range []*dns.Server{{PacketConn: packets, Handler: answer}, {Listener: streams, Handler: answer}} {
				go s.ActivateAndServe()
				t.Cleanup(func() { s.Shutdown() })
			}
			err := newVerifier(t, packets.LocalAddr().String(), 3*time.Second, s).Check(context.Background(), []records.Name{"h.example.com"})
			switch {
			case c.why == "" && err != nil:
				t.Errorf("not believed: %v", err)
			case c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why) || len(err.Error()) > 400):
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestFitsTinydns asks the real tinydns for TXT sets around the most that it can
// answer: what Fits takes is answered whole, what it refuses is not.
func TestFitsTinydns(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	write(t, filepath.Join(root, "data"), zone)
	server := serveTinydns(t, root)
	target := newTarget(t, fileOptions(root))
	const name = "_acme-challenge.h.example.com"
	fit := 0
	for n := 100; n < 256; n++ {
		h := hostWith(name, strings.Repeat("a", n), strings.Repeat("b", 120), strings.Repeat("c", 127))
		if n%4 != 0 && Fits(h) == nil && Fits(hostWith(name, strings.Repeat("a", n+4), strings.Repeat("b", 120), strings.Repeat("c", 127))) == nil {
			continue // far from the limit
		}
		serve(t, target, true, h)
		query := new(dns.Msg).SetQuestion(name+".", dns.TypeTXT)
		reply, _, err := new(dns.Client).Exchange(query, server)
		if err != nil {
			t.Fatal(err)
		}
		whole := !reply.Truncated && len(reply.Answer) == 3
		if whole != (Fits(h) == nil) {
			t.Fatalf("with %d bytes: answered whole: %v; Fits: %v", n, whole, Fits(h))
		}
		if whole {
			fit++
		}
	}
	if fit == 0 || fit == 156 {
		t.Errorf("%d of them fit", fit)
	}
}

// bothPorts listens on one port number over UDP and TCP.
func bothPorts(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		streams, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, streams
		}
		packets.Close() // somebody else has it
	}
	t.Fatal("no port is free for both")
	return nil, nil
}

func TestVerifySaysWhatTheServerSaid(t *testing.T) {
	// A server that is not fed by us, and truncates what it says over UDP.
	packets, streams := bothPorts(t)
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.Authoritative = true
		_, m.Truncated = w.RemoteAddr().(*net.UDPAddr)
		if !m.Truncated && q.Question[0].Qtype == dns.TypeA {
			rr, _ := dns.NewRR(q.Question[0].Name + " 300 IN A 192.0.2.1")
			m.Answer = append(m.Answer, rr)
		}
		if strings.HasPrefix(q.Question[0].Name, "refused") {
			m.Rcode = dns.RcodeRefused
		}
		w.WriteMsg(m)
	})
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: answer}, {Listener: streams, Handler: answer}} {
		go s.ActivateAndServe()
		t.Cleanup(func() { s.Shutdown() })
	}
	s := make(stored)
	s.has(hostWith("right.example.com", "192.0.2.1"), hostWith("wrong.example.com", "203.0.113.1"), hostWith("refused.example.com", "192.0.2.1"))
	v := newVerifier(t, packets.LocalAddr().String(), 100*time.Millisecond, s)
	if err := v.Check(context.Background(), []records.Name{"right.example.com"}); err != nil {
		t.Error(err)
	}
	for name, want := range map[records.Name]string{
		"wrong.example.com":   v.server + " answers 192.0.2.1 for wrong.example.com A, stored is 203.0.113.1",
		"refused.example.com": v.server + " refused.example.com A: it answers REFUSED",
	} {
		if got := fmt.Sprint(v.Check(context.Background(), []records.Name{name})); got != string(name)+": "+want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
