package rfc2136

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Live tells what is wrong with a server or key before the first update does,
// and leaves everything as it is.
func TestLive(t *testing.T) {
	for _, p := range primaries {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s := p.start(t)
			r := newUpdater(t, s, nil)
			publishHosts(t, r, zoneHost("home", "203.0.113.1"))
			serial := s.serial(t)
			live := func(change func(*Options), want string) {
				t.Helper()
				err := newUpdater(t, s, change).Live(t.Context())
				switch {
				case want == "" && err != nil:
					t.Errorf("all is well, but: %v", err)
				case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
					t.Errorf("got %v, want %q", err, want)
				}
			}
			live(nil, "")
			live(func(o *Options) { o.TSIGSecretFile = s.keyFile("gateway512") }, "")
			live(func(o *Options) { o.Zone = "other.example.net" }, "other.example.net")
			s.write(t, "another.key", keyStatementText("gateway", "hmac-sha256", "bm90IHRoZSBzZWNyZXQgYXQgYWxsIQ=="))
			live(func(o *Options) { o.TSIGSecretFile = s.keyFile("another") }, p.badSecret)
			s.write(t, "unknown.key", keyStatementText("unknown", "hmac-sha256", s.secrets["gateway"]))
			live(func(o *Options) { o.TSIGSecretFile = s.keyFile("unknown") }, p.badKey)
			live(func(o *Options) { o.Clock = func() time.Time { return time.Now().Add(-2 * time.Hour) } }, p.badTime)
			if now := s.serial(t); now != serial {
				t.Errorf("the serial went from %d to %d", serial, now)
			}
			serves(t, s, "home", "203.0.113.1")
			s.kill(t)
			live(nil, "nothing listens there on TCP")
		})
	}
}

// NSD has the zone, and takes no updates.
func TestLiveSecondary(t *testing.T) {
	if err := newUpdater(t, startNSD(t), nil).Live(t.Context()); err == nil || !strings.Contains(err.Error(), "NOTIMP") {
		t.Errorf("got %v", err)
	}
}

// A YXRRSET that is not signed proves nothing of the key.
func TestLiveUnsigned(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stranger := &dns.Server{Listener: listener, MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			reply := new(dns.Msg).SetReply(q)
			reply.Authoritative = true
			if q.Opcode == dns.OpcodeUpdate {
				reply.Rcode = dns.RcodeYXRrset
			} else {
				soa, _ := dns.NewRR(testZone + ". 60 SOA a. b. 1 2 3 4 5")
				reply.Answer = []dns.RR{soa}
			}
			w.WriteMsg(reply)
		})}
	go stranger.ActivateAndServe()
	defer stranger.Shutdown()
	s := newNameServer(t)
	s.addr = listener.Addr().String()
	if err := newUpdater(t, s, nil).Live(t.Context()); err == nil || !strings.Contains(err.Error(), "not signed") {
		t.Errorf("got %v", err)
	}
}
