package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
)

// primaries are the servers that take updates, and how they say no.
var primaries = []struct {
	name      string
	start     func(testing.TB) *nameServer
	perName   bool // the key home may update only home
	badSecret string
	badKey    string
	badTime   string
	badName   string // a name outside of the zone
}{
	{"BIND", startBIND, true, "BADSIG", "BADKEY", "clock skew: it is 2", "NOTZONE"},
	{"Knot", startKnot, true, "BADSIG", "BADKEY", "clock skew: it is 2", "BADKEY"},
	{"PowerDNS", startPowerDNS, false, "REFUSED, and unsigned", "REFUSED, and unsigned", "REFUSED, and unsigned", "NOTZONE"},
}

func newUpdater(t testing.TB, s *nameServer, change func(*Options)) *Target {
	t.Helper()
	opts := Options{
		Server:         s.addr,
		Zone:           testZone,
		TSIGSecretFile: s.keyFile("gateway"),
		Timeout:        20 * time.Second, // the machine may be busy
		Logger:         slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&opts)
	}
	r, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// zoneHost makes a host of testZone that had all types once; a value that is no
// address is a TXT.
func zoneHost(label string, values ...string) records.Host {
	h := records.Host{Name: records.Name(label + "." + testZone), TTL: 60}
	for _, value := range values {
		addr, err := netip.ParseAddr(value)
		if err != nil {
			h.Records = append(h.Records, records.Record{Text: value})
			continue
		}
		h.Records = append(h.Records, records.Record{Addr: addr})
	}
	records.Sort(h.Records)
	for _, t := range records.Types {
		h.Had = h.Had.Add(t)
	}
	return h
}

func publishHosts(t testing.TB, r *Target, hosts ...records.Host) {
	t.Helper()
	if err := r.Publish(t.Context(), hosts, false); err != nil {
		t.Fatal(err)
	}
}

// serves checks all that the server has at label: values in any order.
func serves(t testing.TB, s *nameServer, label string, values ...string) {
	t.Helper()
	var got []string
	for _, rrtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT} {
		got = append(got, s.lookup(t, label+"."+testZone, rrtype)...)
	}
	var want []string
	for _, value := range values {
		want = append(want, "60 "+value)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s at %s: got %q, want %q", s.argv[0], label, got, want)
	}
}

var forbiddenWords = regexp.MustCompile(`(?i)\b(good|nochg|ok)\b`)

// explains checks that err says want and where, in words fit for a reply, and
// no secret.
func explains(t testing.TB, s *nameServer, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", want)
	}
	for _, word := range append(want, "zone ", s.addr) {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not contain %q", err, word)
		}
	}
	if word := forbiddenWords.FindString(err.Error()); word != "" {
		t.Errorf("%q contains %q", err, word)
	}
	for _, secret := range s.secrets {
		if strings.Contains(fmt.Sprintf("%s %+v", err, err), secret) {
			t.Errorf("%q contains a secret", err)
		}
	}
}

func TestRFC2136Publish(t *testing.T) {
	steps := []struct {
		name  string
		hosts []records.Host
	}{
		{"one address", []records.Host{zoneHost("home", "192.0.2.1")}},
		{"both families", []records.Host{zoneHost("home", "192.0.2.2", "2001:db8::2")}},
		{"several addresses", []records.Host{zoneHost("home", "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::2", "2001:db8::3")}},
		{"one family less", []records.Host{zoneHost("home", "2001:db8::4")}},
		{"several hosts", []records.Host{zoneHost("home", "192.0.2.5"), zoneHost("nas", "192.0.2.6"), zoneHost("deep.er.nas", "192.0.2.7")}},
		{"wildcard", []records.Host{zoneHost("*.home", "192.0.2.8")}},
		{"challenge", []records.Host{zoneHost("_acme-challenge.home", "one-_.=+/1", "two")}},
		{"challenge, one value less", []records.Host{zoneHost("_acme-challenge.home", "two")}},
		{"longest challenge", []records.Host{zoneHost("_acme-challenge.nas", strings.Repeat("x", records.MaxText))}},
		{"offline", []records.Host{zoneHost("home"), zoneHost("*.home"), zoneHost("_acme-challenge.home")}},
		{"offline twice", []records.Host{zoneHost("home"), zoneHost("never.there")}},
		{"beside another's records", []records.Host{zoneHost("mixed", "192.0.2.9")}},
		{"and away from there", []records.Host{zoneHost("mixed")}},
	}
	for _, primary := range primaries {
		for _, key := range []string{"gateway", "gateway384", "gateway512"} {
			t.Run(primary.name+"/"+key, func(t *testing.T) {
				s := primary.start(t)
				r := newUpdater(t, s, func(o *Options) { o.TSIGSecretFile = s.keyFile(key) })
				for _, step := range steps {
					publishHosts(t, r, step.hosts...)
					for _, h := range step.hosts {
						if label := strings.TrimSuffix(string(h.Name), "."+testZone); label != "mixed" {
							serves(t, s, label, quoted(h)...)
						}
					}
				}
				serves(t, s, "nas", "192.0.2.6")
				othersUntouched(t, s)
			})
		}
	}
}

// quoted are the values as lookup shows them.
func quoted(h records.Host) []string {
	var values []string
	for _, r := range h.Records {
		if r.Type() == records.TXT {
			values = append(values, `"`+r.Value()+`"`)
		} else {
			values = append(values, r.Value())
		}
	}
	return values
}

// othersUntouched checks what testZoneFile holds besides dnsgate's records.
func othersUntouched(t *testing.T, s *nameServer) {
	t.Helper()
	for _, want := range []struct {
		name   string
		rrtype uint16
		data   string
	}{
		{"mixed." + testZone, dns.TypeMX, "300 10 ns.dyn.example.com."},
		{"mixed." + testZone, dns.TypeTXT, `300 "of somebody else"`},
		{"fixed." + testZone, dns.TypeA, "300 192.0.2.1"},
		{"alias." + testZone, dns.TypeCNAME, "300 ns.dyn.example.com."},
		{testZone, dns.TypeNS, "300 ns.dyn.example.com."},
	} {
		if got := s.lookup(t, want.name, want.rrtype); !slices.Equal(got, []string{want.data}) {
			t.Errorf("%s: got %q, want %q", want.name, got, want.data)
		}
	}
}

func hundredHosts(revision uint64) []records.Host {
	var hosts []records.Host
	for i := range 100 {
		h := zoneHost(fmt.Sprintf("h%d", i), fmt.Sprintf("192.0.2.%d", i+1), fmt.Sprintf("2001:db8::%x", i+1))
		h.Revision = revision
		hosts = append(hosts, h)
	}
	return hosts
}

// A command of a hundred hosts is one UPDATE: the serial grows by one.
func TestRFC2136OneUpdatePerCommand(t *testing.T) {
	for _, primary := range primaries {
		t.Run(primary.name, func(t *testing.T) {
			s := primary.start(t)
			r := newUpdater(t, s, nil)
			before := s.serial(t)
			publishHosts(t, r, hundredHosts(1)...)
			if got := s.serial(t); got != before+1 {
				t.Errorf("the serial went from %d to %d", before, got)
			}
			serves(t, s, "h0", "192.0.2.1", "2001:db8::1")
			serves(t, s, "h99", "192.0.2.100", "2001:db8::64")
		})
	}
}

func TestRFC2136RefusedHosts(t *testing.T) {
	for _, primary := range primaries {
		t.Run(primary.name, func(t *testing.T) {
			s := primary.start(t)
			r := newUpdater(t, s, nil)
			hosts := slices.Insert(hundredHosts(1), 37, zoneHost("alias", "192.0.2.1"))
			hosts = slices.Insert(hosts, 38, zoneHost("text", "at a hostname"))
			foreign := zoneHost("x", "192.0.2.1")
			foreign.Name = "www.example.org"
			hosts = append(hosts, foreign)

			err := r.Publish(t.Context(), hosts, false)
			wantRefused(t, err, map[records.Name]string{
				"alias." + testZone: "CNAME",
				"text." + testZone:  "TXT",
				"www.example.org":   primary.badName,
			})
			explains(t, s, err)
			for i := range 100 {
				serves(t, s, fmt.Sprintf("h%d", i), fmt.Sprintf("192.0.2.%d", i+1), fmt.Sprintf("2001:db8::%x", i+1))
			}
			othersUntouched(t, s)
		})
	}
}

// A key for one host publishes that host, whatever else is asked for.
func TestRFC2136KeyOfOneHost(t *testing.T) {
	for _, primary := range primaries {
		if !primary.perName {
			continue
		}
		t.Run(primary.name, func(t *testing.T) {
			s := primary.start(t)
			r := newUpdater(t, s, func(o *Options) { o.TSIGSecretFile = s.keyFile("home") })
			publishHosts(t, r, zoneHost("home", "192.0.2.1"))
			err := r.Publish(t.Context(), []records.Host{
				zoneHost("nas", "192.0.2.2"), zoneHost("home", "192.0.2.3"), zoneHost("*.home", "192.0.2.4"),
			}, false)
			wantRefused(t, err, map[records.Name]string{"nas." + testZone: "", "*.home." + testZone: ""})
			serves(t, s, "home", "192.0.2.3")
			serves(t, s, "nas")
			serves(t, s, "x.home")
		})
	}
}

func wantRefused(t *testing.T, err error, want map[records.Name]string) {
	t.Helper()
	var refused publish.HostErrors
	if !errors.As(err, &refused) || len(refused) != len(want) {
		t.Fatalf("got %v, want the hosts %v", err, want)
	}
	for name, word := range want {
		if err := refused[name]; err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: got %v, want %q", name, err, word)
		}
	}
}

func TestRFC2136WrongKeyZoneAndClock(t *testing.T) {
	for _, primary := range primaries {
		t.Run(primary.name, func(t *testing.T) {
			s := primary.start(t)
			key := func(name, algorithm, secret string) func(*Options) {
				return func(o *Options) {
					s.write(t, "wrong.key", keyStatementText(name, algorithm, secret))
					o.TSIGSecretFile = s.path("wrong.key")
				}
			}
			clock := func(skew time.Duration) func(*Options) {
				return func(o *Options) { o.Clock = func() time.Time { return time.Now().Add(skew) } }
			}
			zone := func(name string) func(*Options) {
				return func(o *Options) { o.Zone = name }
			}
			for _, test := range []struct {
				name   string
				change func(*Options)
				want   string // "": no error
			}{
				{"another secret", key("gateway", "hmac-sha256", s.secrets["home"]), primary.badSecret},
				{"another algorithm", key("gateway", "hmac-sha512", s.secrets["gateway"]), primary.badKey},
				{"unknown key", key("stranger", "hmac-sha256", s.secrets["gateway"]), primary.badKey},
				{"zone above", zone("example.com"), "NOTAUTH"},
				{"zone below", zone("home." + testZone), "NOTAUTH"},
				{"clock behind", clock(-time.Hour), primary.badTime},
				{"clock ahead", clock(time.Hour), primary.badTime},
				{"clock a little ahead", clock(4 * time.Minute), ""},
			} {
				t.Run(test.name, func(t *testing.T) {
					r := newUpdater(t, s, test.change)
					err := r.Publish(t.Context(), []records.Host{zoneHost("home", "192.0.2.1")}, false)
					if test.want == "" {
						if err != nil {
							t.Fatal(err)
						}
						return
					}
					explains(t, s, err, test.want)
					serves(t, s, "home")
				})
			}
		})
	}
}

func TestRFC2136SecondaryOnly(t *testing.T) {
	s := startNSD(t)
	r := newUpdater(t, s, nil)
	explains(t, s, r.Publish(t.Context(), hundredHosts(1), false), "NOTIMP", "secondary only")
}

// A key that was replaced on both sides counts from the next Publish on.
func TestRFC2136KeyReplaced(t *testing.T) {
	s := startBIND(t)
	s.write(t, "tsig.secret", s.secrets["home"]+"\n")
	r := newUpdater(t, s, func(o *Options) {
		o.TSIGSecretFile, o.TSIGName, o.TSIGAlgorithm = s.path("tsig.secret"), "Gateway.", "HMAC-SHA256"
	})
	explains(t, s, r.Publish(t.Context(), []records.Host{zoneHost("home", "192.0.2.1")}, false), "BADSIG")
	s.write(t, "tsig.secret", s.secrets["gateway"]+"\n")
	publishHosts(t, r, zoneHost("home", "192.0.2.1"))
	if err := os.Chmod(s.path("tsig.secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.Publish(t.Context(), []records.Host{zoneHost("home", "192.0.2.2")}, false); err == nil {
		t.Error("a key that all may read was used")
	}
	serves(t, s, "home", "192.0.2.1")
}

func TestRFC2136ServerDownAndBack(t *testing.T) {
	for _, primary := range primaries {
		t.Run(primary.name, func(t *testing.T) {
			s := primary.start(t)
			r := newUpdater(t, s, nil)
			publishHosts(t, r, zoneHost("home", "192.0.2.1"))
			s.kill(t)
			err := r.Publish(t.Context(), []records.Host{zoneHost("home", "192.0.2.2")}, false)
			explains(t, s, err, "connection refused")
			s.start(t)
			serves(t, s, "home", "192.0.2.1") // what was acknowledged survives kill -9
			publishHosts(t, r, zoneHost("home", "192.0.2.2"))
			serves(t, s, "home", "192.0.2.2")
			s.kill(t)
			s.start(t)
			publishHosts(t, r, zoneHost("home", "192.0.2.3")) // over a connection that ended unnoticed
			serves(t, s, "home", "192.0.2.3")
		})
	}
}

// While the server is stopped, addresses change. Whatever it finds in its
// buffers when it goes on, the last one stays. (With a new connection for
// each try, it was an old one in a third of the rounds.)
func TestRFC2136SlowServer(t *testing.T) {
	for _, primary := range primaries {
		t.Run(primary.name, func(t *testing.T) {
			s := primary.start(t)
			r := newUpdater(t, s, nil)
			publishHosts(t, r, zoneHost("home", "192.0.2.1"))
			for round := range 10 {
				s.pause(t)
				r.stream.timeout = 30 * time.Millisecond
				for try := range 3 {
					old := zoneHost("home", fmt.Sprintf("192.0.2.%d", 10*round+try+1))
					err := r.Publish(t.Context(), []records.Host{old}, false)
					explains(t, s, err, "no answer within 30ms")
				}
				last := fmt.Sprintf("198.51.100.%d", round+1)
				published := make(chan error, 1)
				r.stream.timeout = 20 * time.Second
				go func() {
					published <- r.Publish(context.Background(), []records.Host{zoneHost("home", last)}, false)
				}()
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
				s.resume(t)
				if err := <-published; err != nil {
					t.Fatal(err)
				}
				serves(t, s, "home", last)
				time.Sleep(20 * time.Millisecond)
				serves(t, s, "home", last)
			}
		})
	}
}

func TestRFC2136Cancel(t *testing.T) {
	s := startBIND(t)
	r := newUpdater(t, s, func(o *Options) { o.Timeout = time.Hour })
	s.pause(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	err := r.Publish(ctx, []records.Host{zoneHost("home", "192.0.2.1")}, false)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	s.resume(t)
	publishHosts(t, r, zoneHost("home", "192.0.2.2"))
	serves(t, s, "home", "192.0.2.2")
}

func thousandHosts() []records.Host {
	var hosts []records.Host
	for i := range 1000 {
		h := zoneHost(fmt.Sprintf("h%d", i), fmt.Sprintf("198.51.%d.%d", i/250, i%250+1))
		h.Revision = uint64(i/7 + 1)
		hosts = append(hosts, h)
	}
	return hosts
}

// The whole picture is there after it was lost, and a name that went offline
// meanwhile is not.
func TestRFC2136Whole(t *testing.T) {
	for _, primary := range primaries {
		t.Run(primary.name, func(t *testing.T) {
			s := primary.start(t)
			r := newUpdater(t, s, nil)
			publishHosts(t, r, zoneHost("h3", "192.0.2.1"), zoneHost("gone", "192.0.2.2"))
			hosts := append(thousandHosts(), zoneHost("gone"))
			for range 2 {
				if err := r.Publish(t.Context(), hosts, true); err != nil {
					t.Fatal(err)
				}
			}
			for i := 0; i < 1000; i += 37 {
				serves(t, s, fmt.Sprintf("h%d", i), fmt.Sprintf("198.51.%d.%d", i/250, i%250+1))
			}
			serves(t, s, "gone")
			othersUntouched(t, s)
		})
	}
}

// A key that may do nothing does not cost two messages a host.
func TestRFC2136AllRefused(t *testing.T) {
	s := startKnot(t)
	s.write(t, "wrong.key", keyStatementText("stranger", "hmac-sha256", s.secrets["gateway"]))
	r := newUpdater(t, s, func(o *Options) { o.TSIGSecretFile = s.path("wrong.key") })
	err := r.Publish(t.Context(), thousandHosts(), true)
	explains(t, s, err, "BADKEY", "32 hosts alone, taken at random out of 1000")
	if errors.As(err, new(publish.HostErrors)) {
		t.Error("each host was tried")
	}
}

// Hosts that are refused in a large batch are found there too.
func TestRFC2136RefusedInWhole(t *testing.T) {
	s := startBIND(t)
	r := newUpdater(t, s, nil)
	hosts := append([]records.Host{zoneHost("alias", "192.0.2.1")}, thousandHosts()...)
	err := r.Publish(t.Context(), hosts, true)
	wantRefused(t, err, map[records.Name]string{"alias." + testZone: "CNAME"})
	serves(t, s, "h0", "198.51.0.1")
	serves(t, s, "h999", "198.51.3.250")
}

// Record sets that fill more than 64 KiB take several messages; a host that
// alone does so is reported.
func TestRFC2136LongMessages(t *testing.T) {
	s := startBIND(t)
	r := newUpdater(t, s, nil)
	label := strings.Repeat("x", 50)
	var hosts []records.Host
	for i := range 150 {
		var addrs []string
		for n := range 8 {
			addrs = append(addrs, fmt.Sprintf("192.0.%d.%d", n, i+1), fmt.Sprintf("2001:db8:%x::%x", n, i+1))
		}
		hosts = append(hosts, zoneHost(fmt.Sprintf("%s%d.%s.%s", label, i, label, label), addrs...))
	}
	publishHosts(t, r, hosts...)
	for _, i := range []int{0, 74, 75, 149} {
		h := hosts[i]
		serves(t, s, strings.TrimSuffix(string(h.Name), "."+testZone), quoted(h)...)
	}

	var values []string
	for i := range 300 {
		values = append(values, fmt.Sprintf("%0*d", records.MaxText, i))
	}
	err := r.Publish(t.Context(), []records.Host{zoneHost("_acme-challenge.home", values...), zoneHost("home", "192.0.2.1")}, false)
	wantRefused(t, err, map[records.Name]string{"_acme-challenge.home." + testZone: "64 KiB"})
	serves(t, s, "home", "192.0.2.1")
}

// No message is too long or empty, and a transaction that fits is in one.
func TestRFC2136MessageLength(t *testing.T) {
	for range 1000 {
		var hosts []records.Host
		for revision := uint64(1); len(hosts) < rand.IntN(1500)+1; revision++ {
			for range rand.IntN(300) + 1 {
				hosts = append(hosts, records.Host{Revision: revision})
			}
		}
		limit := rand.IntN(hostsPerMessage) + 1
		n := messageLength(hosts, limit)
		if n < 1 || n > limit {
			t.Fatalf("a message of %d hosts, limit %d", n, limit)
		}
		if n == len(hosts) || hosts[n-1].Revision != hosts[n].Revision {
			continue
		}
		if n != limit || hosts[0].Revision != hosts[n].Revision {
			t.Fatalf("a transaction was split after %d of %d hosts, limit %d", n, len(hosts), limit)
		}
	}
}

// A server that takes longer for a message than the timeout gets shorter ones,
// until all is there: PowerDNS reads its whole zone for each host.
func TestRFC2136LargeSlowZone(t *testing.T) {
	s := startPowerDNS(t)
	r := newUpdater(t, s, nil)
	if err := r.Publish(t.Context(), thousandHosts(), true); err != nil {
		t.Fatal(err)
	}
	changed := thousandHosts()[:300]
	for i := range changed {
		changed[i].Records[0].Addr = netip.AddrFrom4([4]byte{203, 0, byte(113 + i/250), byte(i%250 + 1)})
	}
	began := time.Now()
	publishHosts(t, r, changed[:20]...)
	r.stream.timeout = max(3*time.Since(began), 20*time.Millisecond) // of 60 hosts
	r.perMessage = hostsPerMessage
	for tries := 0; ; tries++ {
		err := r.Publish(t.Context(), changed, true)
		if err == nil {
			t.Logf("published after %d timeouts of %s", tries, r.stream.timeout)
			break
		}
		explains(t, s, err, "no answer within")
		if tries == 100 {
			t.Fatal(err)
		}
	}
	serves(t, s, "h0", "203.0.113.1")
	serves(t, s, "h299", "203.0.114.50")
}

func TestRFC2136Covers(t *testing.T) {
	s := newNameServer(t)
	zones := []string{"example.com", "Dyn.Example.com.", "lab.dyn.example.com", "other.net", "other.net"}
	targets := map[string]*Target{}
	for _, zone := range zones {
		r := newUpdater(t, s, func(o *Options) { o.Zone, o.Zones = zone, zones })
		targets[r.zone] = r
	}
	for name, want := range map[records.Name]string{
		"example.com":                           "example.com",
		"home.example.com":                      "example.com",
		"xdyn.example.com":                      "example.com",
		"dyn.example.com":                       "dyn.example.com",
		"home.dyn.example.com":                  "dyn.example.com",
		"*.dyn.example.com":                     "dyn.example.com",
		"a.b.dyn.example.com":                   "dyn.example.com",
		"lab.dyn.example.com":                   "lab.dyn.example.com",
		"*.lab.dyn.example.com":                 "lab.dyn.example.com",
		"_acme-challenge.x.lab.dyn.example.com": "lab.dyn.example.com",
		"home.other.net":                        "other.net",
		"example.org":                           "",
		"notexample.com":                        "",
		"com":                                   "",
	} {
		for zone, r := range targets {
			if got := r.Covers(name); got != (zone == want) {
				t.Errorf("zone %s covers %s: %t", zone, name, got)
			}
		}
	}
	if got := targets["dyn.example.com"].Name(); got != "rfc2136 dyn.example.com" {
		t.Errorf("name %q", got)
	}
	if got := targets["other.net"].Name(); got != "rfc2136 other.net at "+s.addr {
		t.Errorf("name %q", got)
	}
}

func TestRFC2136Options(t *testing.T) {
	s := newNameServer(t)
	valid := Options{Server: s.addr, Zone: testZone, TSIGSecretFile: s.keyFile("gateway")}
	for _, test := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"no port", func(o *Options) { o.Server = "127.0.0.1" }, `server "127.0.0.1"`},
		{"no server", func(o *Options) { o.Server = "" }, `server ""`},
		{"empty port", func(o *Options) { o.Server = "ns:" }, `server "ns:"`},
		{"no zone", func(o *Options) { o.Zone = "" }, `zone ""`},
		{"root", func(o *Options) { o.Zone = "." }, `zone "."`},
		{"zone with a space", func(o *Options) { o.Zone = "a b" }, `zone "a b"`},
		{"long label", func(o *Options) { o.Zone = strings.Repeat("a", 64) }, "zone"},
		{"long zone", func(o *Options) { o.Zone = strings.Repeat("a.", 128) }, "longer than 253"},
		{"another's zone", func(o *Options) { o.Zones = []string{testZone, "a..b"} }, `zone "a..b"`},
		{"no key", func(o *Options) { o.TSIGSecretFile = "" }, "tsig_secret_file is missing"},
		{"absent key", func(o *Options) { o.TSIGSecretFile = s.path("absent") }, "absent: no such file"},
		{"key name", func(o *Options) { o.TSIGName = "a b" }, `tsig_name "a b"`},
		{"another key name", func(o *Options) { o.TSIGName = "other" }, "gateway.key:"},
		{"algorithm", func(o *Options) { o.TSIGAlgorithm = "hmac-md5" }, `tsig_algorithm "hmac-md5"`},
		{"another algorithm", func(o *Options) { o.TSIGAlgorithm = "hmac-sha512" }, "gateway.key:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := valid
			test.change(&opts)
			if _, err := New(opts); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := New(valid); err != nil {
		t.Error(err)
	}
}
