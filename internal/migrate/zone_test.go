package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dnsgate/test/rig"

	"github.com/miekg/dns"
)

const (
	transferSecret = "dHJhbnNmZXItc2VjcmV0LW9mLXRoZS10ZXN0LWtleSE="
	otherSecret    = "b3RoZXItc2VjcmV0LW9mLXRoZS10ZXN0LWtleS1oZXJl"
)

// startBIND runs BIND 9 with a zone that only a key may transfer.
func startBIND(t *testing.T) (server string) {
	t.Helper()
	rig.Needs(t, "named")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(server)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "zone"), `$TTL 300
@	SOA	ns hostmaster 1 3600 900 604800 60
@	NS	ns
ns	A	127.0.0.1
home	60	A	203.0.113.7
home	60	AAAA	2001:db8::7
*.home	60	A	203.0.113.8
lab	A	192.168.1.5
a_b	A	203.0.113.9
txt	TXT	"words"
`)
	write(t, filepath.Join(dir, "named.conf"), fmt.Sprintf(`key "transfer" { algorithm hmac-sha512; secret "%s"; };
options {
	directory "%s";
	listen-on port %s { 127.0.0.1; };
	listen-on-v6 { none; };
	pid-file none;
	lock-file none;
	session-keyfile none;
	allow-transfer { key transfer; };
	recursion no;
	dnssec-validation no;
	notify no;
};
controls { };
zone "Dyn.Example.com" { type primary; file "zone"; check-names ignore; };
`, transferSecret, dir, port))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	named := exec.Command("named", "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
	named.Stderr = log
	named.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := named.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { named.Process.Kill(); named.Wait() })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		client := dns.Client{Net: "tcp"}
		answer, _, err := client.Exchange(new(dns.Msg).SetQuestion("dyn.example.com.", dns.TypeSOA), server)
		if err == nil && len(answer.Answer) == 1 {
			return server
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("named does not serve: %v\n%s", err, said)
		}
	}
}

func TestZone(t *testing.T) {
	server := startBIND(t)
	key := Key{Name: "transfer.", Algorithm: "hmac-sha512", Secret: transferSecret, File: "/etc/dnsgate/tsig.secret"}
	s, err := Zone(t.Context(), server, "DYN.example.com.", key)
	check(t, s, err, "", `*.home.dyn.example.com 1m0s 203.0.113.8
home.dyn.example.com 1m0s 203.0.113.7 2001:db8::7
lab.dyn.example.com 5m0s 192.168.1.5
ns.dyn.example.com
dyn.example.com:3: left out: "a_b.dyn.example.com" is not a fully qualified hostname: '_' may not stand in a hostname
dyn.example.com:8: left out: ns.dyn.example.com: not an address to publish: 127.0.0.1 is a loopback address
`)
	if n := restored(t, s); n != 3 {
		t.Errorf("%d hosts in the store", n)
	}
	want := fmt.Sprintf("[[rfc2136]]\nserver = %q\nzone = \"dyn.example.com\"\ntsig_name = \"transfer\"\n"+
		"tsig_algorithm = \"hmac-sha512\"\ntsig_secret_file = \"/etc/dnsgate/tsig.secret\"", server)
	if !strings.HasPrefix(s.Config, want) {
		t.Errorf("got %s", s.Config)
	}
	if out := outputs(t, s); strings.Contains(out, transferSecret) {
		t.Errorf("the secret is in %s", out)
	}
	for name, k := range map[string]Key{
		"no key":         {},
		"another key":    {Name: "transfer", Algorithm: "hmac-sha512", Secret: otherSecret},
		"unknown key":    {Name: "other", Algorithm: "hmac-sha512", Secret: transferSecret},
		"another digest": {Name: "transfer", Algorithm: "hmac-sha256", Secret: transferSecret},
	} {
		_, err := Zone(t.Context(), server, "dyn.example.com", k)
		if err == nil || !strings.Contains(err.Error(), "transferring dyn.example.com from "+server) || strings.Contains(err.Error(), "Secret") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, zone := range []string{"", ".", "a..b", "org"} {
		if _, err := Zone(t.Context(), server, zone, key); err == nil {
			t.Errorf("zone %q was read", zone)
		}
	}
	if _, err := Zone(t.Context(), "127.0.0.1:1", "dyn.example.com", key); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
}

// TestZoneOfAServerThatLies: unsigned answers, records of other zones, and an
// end in the middle.
func TestZoneOfAServerThatLies(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	soa, _ := dns.NewRR("example.com. SOA a. b. 1 2 3 4 5")
	mine, _ := dns.NewRR("HOME.example.com. 60 A 203.0.113.7")
	theirs, _ := dns.NewRR("home.example.org. 60 A 203.0.113.7")
	like, _ := dns.NewRR("notexample.com. 60 A 203.0.113.7")
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Answer = []dns.RR{soa, mine, theirs, like, soa}
		if q.Question[0].Name == "torn.example.com." {
			m.Answer = m.Answer[:3]
			w.WriteMsg(m)
			w.Close()
			return
		}
		w.WriteMsg(m)
	})}
	go server.ActivateAndServe()
	defer server.Shutdown()
	s, err := Zone(t.Context(), l.Addr().String(), "example.com", Key{})
	check(t, s, err, "", `home.example.com 1m0s 203.0.113.7
example.com:3: left out: home.example.org is not in the zone
example.com:4: left out: notexample.com is not in the zone
`)
	outputs(t, s)
	if _, err := Zone(t.Context(), l.Addr().String(), "torn.example.com", Key{}); err == nil {
		t.Error("half a zone was taken for all of it")
	}
	if _, err := Zone(t.Context(), l.Addr().String(), "example.com", Key{Name: "k", Algorithm: "hmac-sha256", Secret: transferSecret}); err == nil {
		t.Error("an unsigned answer was taken for a signed one")
	}
}

// TestZoneThatNeverEnds: a server that goes on sending is left when the
// context ends, and once it has sent too much.
func TestZoneThatNeverEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	soa, _ := dns.NewRR("example.com. SOA a. b. 1 2 3 4 5")
	txt, _ := dns.NewRR("example.com. TXT more")
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		for m.Answer = []dns.RR{soa}; w.WriteMsg(m) == nil; m.Answer = []dns.RR{txt} {
		}
	})}
	go server.ActivateAndServe()
	defer server.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := Zone(ctx, l.Addr().String(), "example.com", Key{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}

	near, far := net.Pipe()
	defer near.Close()
	go func() {
		for {
			if _, err := far.Write(make([]byte, 100)); err != nil {
				return
			}
		}
	}()
	n, err := io.Copy(io.Discard, &boundedConn{near, 1000})
	if err == nil || n > 1000 {
		t.Errorf("read %d bytes of at most 1000, %v", n, err)
	}
}
