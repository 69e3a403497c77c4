package publish

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

	"dnsgate/internal/records"

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

func TestVerifyAgainstTinydns(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	write(t, filepath.Join(root, "data"), zone+"+*.wild.example.com:192.0.2.99\n")
	o := fileOptions(root)
	o.Timeout, o.Verify = 3*time.Second, serveTinydns(t, root)
	target := newTinydns(t, o)
	publish(t, target, true, hostWith("h.example.com", "203.0.113.1", "203.0.113.2", "2001:db8::1"),
		hostWith("*.h.example.com", "203.0.113.3"), hostWith("_acme-challenge.h.example.com", strings.Repeat("t", 200)))
	publish(t, target, false, hostWith("h.example.com", "203.0.113.4"))
	publish(t, target, false, hostWith("h.example.com"))
	publish(t, target, false, hostWith("gone.wild.example.com")) // the wildcard answers for it

	o.Timeout = 300 * time.Millisecond
	target.Close()
	target = newTinydns(t, o)
	err := target.Publish(context.Background(), []records.Host{hostWith("h.example.org", "203.0.113.1"), hostWith("h.example.com", "203.0.113.5")}, true)
	var refused HostErrors
	if !errors.As(err, &refused) || len(refused) != 1 || refused["h.example.org"] == nil {
		t.Fatalf("got %v", err) // tinydns is silent about other zones
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
	v, err := newVerifier(packets.LocalAddr().String(), 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	err = v.check(context.Background(), []records.Host{hostWith("right.example.com", "192.0.2.1"), hostWith("wrong.example.com", "203.0.113.1"),
		hostWith("refused.example.com", "192.0.2.1"), hostWith("other.example.com", "192.0.2.1")}, HostErrors{"other.example.com": errors.New("no line")})
	var refused HostErrors
	if !errors.As(err, &refused) || len(refused) != 3 || refused["right.example.com"] != nil {
		t.Fatalf("got %v", err)
	}
	for name, want := range map[records.Name]string{
		"wrong.example.com":   v.server + " answers 192.0.2.1 for wrong.example.com A, stored is 203.0.113.1",
		"refused.example.com": v.server + " refused.example.com A: it answers REFUSED",
		"other.example.com":   "no line",
	} {
		if got := fmt.Sprint(refused[name]); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
