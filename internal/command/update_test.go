package command

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/records"
)

// step is a command, and what it is to answer.
type step struct {
	line   string
	status int
	want   string // lines; "..." in one is any text
}

func (c *client) play(steps []step) {
	c.t.Helper()
	for _, s := range steps {
		c.t.Helper()
		var want []string
		if s.want != "" {
			want = strings.Split(s.want, "\n")
		}
		c.expect(s.status, s.line, want...)
	}
}

func TestUpdate(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow a.example.com b.example.com *.b.example.com")
	c.play([]step{
		{"update a.example.com 192.0.2.1", 0, "good 192.0.2.1 a.example.com"},
		{"update a.example.com 192.0.2.1", 0, "nochg 192.0.2.1 a.example.com"},
		{"update a.example.com 2001:db8::1", 0, "good 2001:db8::1 a.example.com"},
		{"update a.example.com 192.0.2.2 2001:db8::1", 0, "good 192.0.2.2,2001:db8::1 a.example.com"},
		{"update a.example.com 2001:db8::2 2001:db8::1 192.0.2.2", 0, "good 192.0.2.2,2001:db8::1,2001:db8::2 a.example.com"},
		{"update a.example.com ::ffff:192.0.2.2", 0, "nochg 192.0.2.2 a.example.com"},
		{"update", 0, "good 203.0.113.1 a.example.com\ngood 203.0.113.1 b.example.com\ngood 203.0.113.1 *.b.example.com"},
		{"update b.example.com a.example.com", 0, "nochg 203.0.113.1 b.example.com\nnochg 203.0.113.1 a.example.com"},
		{"update A.EXAMPLE.COM. a.example.com 192.0.2.7", 0, "good 192.0.2.7 a.example.com"},
		{"update --dry-run a.example.com 192.0.2.8", 0, "good 192.0.2.8 a.example.com"},
		{"update --dry-run a.example.com 192.0.2.7", 0, "nochg 192.0.2.7 a.example.com"},
		{"update -- a.example.com 192.0.2.7", 64, `badcmd there is no option "--" here; try: help`},
		{"update a.example.com 192.0.2.7 b.example.com", 64, `badcmd "b.example.com" comes after an address; ...`},
		{"update c.example.com 192.0.2.7", 77, "nohost c.example.com is not this key's"},
		{"update a.example.com c.example.com 192.0.2.9", 77, "nohost c.example.com is not this key's"},
		{"update a.example.com 192.0.2.9 10.0.0.1", 65, "badaddr ...10.0.0.1 is private"},
		{"update a.example.com 192.0.2.9 192.0.2", 65, "badaddr ...neither an IPv4 nor an IPv6 address"},
		{"list a.example.com", 0, "a.example.com. 300 IN A 192.0.2.7\na.example.com. 300 IN AAAA 2001:db8::1\na.example.com. 300 IN AAAA 2001:db8::2"},
	})
}

// TestFamilies: a family that is not named stays as it is, whatever comes.
func TestFamilies(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow a.example.com")
	c.play([]step{
		{"update 192.0.2.1 2001:db8::1", 0, "good 192.0.2.1,2001:db8::1 a.example.com"},
		{"update 192.0.2.2", 0, "good 192.0.2.2 a.example.com"},
		{"list", 0, "a.example.com. 300 IN A 192.0.2.2\na.example.com. 300 IN AAAA 2001:db8::1"},
		{"offline -4", 0, "good - a.example.com"},
		{"list", 0, "a.example.com. 300 IN AAAA 2001:db8::1"},
		{"update 192.0.2.2", 0, "good 192.0.2.2 a.example.com"},
		{"offline -6", 0, "good - a.example.com"},
		{"offline -6", 0, "nochg - a.example.com"},
		{"list", 0, "a.example.com. 300 IN A 192.0.2.2"},
		{"offline", 0, "good - a.example.com"},
		{"offline -4 -6 a.example.com", 0, "nochg - a.example.com"},
		{"list", 0, ""},
	})
	c.peer = netip.MustParseAddr("2001:db8::99")
	c.play([]step{
		{"update 192.0.2.3", 0, "good 192.0.2.3 a.example.com"},
		{"update", 0, "good 2001:db8::99 a.example.com"},
		{"list", 0, "a.example.com. 300 IN A 192.0.2.3\na.example.com. 300 IN AAAA 2001:db8::99"},
	})
	c.peer = netip.MustParseAddr("::ffff:192.0.2.3")
	c.expect(0, "update", "nochg 192.0.2.3 a.example.com")
}

func TestRecordSets(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow a.example.com")
	var four, six []string
	for i := range 8 {
		four = append(four, fmt.Sprintf("192.0.2.%d", i))
		six = append(six, fmt.Sprintf("2001:db8::%x", i+1))
	}
	all := strings.Join(four, " ") + " " + strings.Join(six, " ")
	c.expect(0, "update "+all, "good "+strings.ReplaceAll(all, " ", ",")+" a.example.com")
	c.expect(0, "update "+strings.Join(six, " ")+" "+strings.Join(four, " "), "nochg "+strings.ReplaceAll(all, " ", ",")+" a.example.com")
	c.expect(65, "update "+all+" 192.0.2.8", "badaddr more than 8 addresses of one family")
	c.expect(65, "update "+all+" 2001:db8::9", "badaddr more than 8 addresses of one family")
	c.expect(0, "update "+all+" 192.0.2.7", "nochg "+strings.ReplaceAll(all, " ", ",")+" a.example.com")
	c.expect(0, "update 192.0.2.7", "good 192.0.2.7 a.example.com")
}

func TestPrefix(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow a.example.com b.example.com")
	c.play([]step{
		{"update a.example.com 2001:db8:1::/64", 65, "badaddr a.example.com has no IPv6 address whose host part could be kept; ..."},
		{"update a.example.com 2001:db8:0:1::7 2001:db8:0:2::7", 0, "good 2001:db8:0:1::7,2001:db8:0:2::7 a.example.com"},
		{"update a.example.com 2001:db8:9::/48", 0, "good 2001:db8:9:1::7,2001:db8:9:2::7 a.example.com"},
		{"update b.example.com 192.0.2.1 2001:db8:1::/64", 65, "badaddr b.example.com has no IPv6 address ..."},
		{"update a.example.com b.example.com 2001:db8:1:1::/64", 0, "good 2001:db8:1:1::7 a.example.com\nnochg - b.example.com"},
		{"update a.example.com b.example.com 2001:db8:9:2::/64", 0, "good 2001:db8:9:2::7 a.example.com\nnochg - b.example.com"},
		{"offline a.example.com", 0, "good - a.example.com"},
		{"update a.example.com b.example.com 2001:db8:1::/64", 65, "badaddr none of these hosts has an IPv6 address ..."},
		{"update a.example.com 2001:db8:9:1::7 2001:db8:9:2::7", 0, "good 2001:db8:9:1::7,2001:db8:9:2::7 a.example.com"},
		{"update a.example.com 2001:db8:2:2::", 65, "badaddr ...2001:db8:2:2:: is a subnet's own; to move ..., send 2001:db8:2:2::/64"},
		{"list", 0, "a.example.com. 300 IN AAAA 2001:db8:9:1::7\na.example.com. 300 IN AAAA 2001:db8:9:2::7"},
		{"update a.example.com 2001:db8:1::/64", 0, "good 2001:db8:1::7 a.example.com"}, // both became one
		{"update a.example.com 2001:db8:1::/64 192.0.2.1", 0, "good 192.0.2.1,2001:db8:1::7 a.example.com"},
		{"update a.example.com ff00::/8", 65, "badaddr ...is multicast"},
		{"update a.example.com fc00::/7", 65, "badaddr ...is private..."},
		{"update a.example.com 2001:db8:1::1/64", 65, "badaddr 2001:db8:1::1/64: it has host bits; ..."},
		{"update a.example.com ::/0", 65, "badaddr ::/0: the length of a prefix is 1 to 127"},
		{"update a.example.com 2001:db8::1/128", 65, "badaddr 2001:db8::1/128: the length of a prefix is 1 to 127"},
		{"update a.example.com 192.0.2.0/24", 65, "badaddr 192.0.2.0/24: only an IPv6 prefix can be moved; ..."},
		{"update a.example.com ::ffff:192.0.2.0/120", 65, "badaddr ..."},
		{"update a.example.com 2001:db8:1::/64 2001:db8:2::/64", 65, "badaddr 2001:db8:2::/64: there is a prefix already"},
		{"update a.example.com 2001:db8:1::/64 2001:db8::1", 65, "badaddr either IPv6 addresses or a prefix, not both"},
	})
}

// TestWithPrefix compares every length with arithmetic on single bits.
func TestWithPrefix(t *testing.T) {
	addr := netip.MustParseAddr("a5c3:96f0:1e2d:3c4b:5a69:7887:9695:a4b3")
	for bits := 1; bits < 128; bits++ {
		prefix := netip.PrefixFrom(netip.MustParseAddr("5a3c:690f:e1d2:c3b4:a596:8778:6969:5b4c"), bits).Masked()
		got, a, p := withPrefix(addr, prefix).As16(), addr.As16(), prefix.Addr().As16()
		for bit := range 128 {
			from := a
			if bit < bits {
				from = p
			}
			mask := byte(0x80) >> (bit % 8)
			if got[bit/8]&mask != from[bit/8]&mask {
				t.Fatalf("%s: bit %d of %s", prefix, bit, netip.AddrFrom16(got))
			}
		}
	}
}

func TestAddressRules(t *testing.T) {
	g, _ := newGateway(t)
	peer := newClient(t, g, "allow --address=peer a.example.com")
	peer.play([]step{
		{"update", 0, "good 203.0.113.1 a.example.com"},
		{"update 192.0.2.1 2001:db8::1", 0, "nochg 203.0.113.1 a.example.com"},
		{"update 2001:db8::/64", 0, "nochg 203.0.113.1 a.example.com"},
		{"update 10.0.0.1", 0, "nochg 203.0.113.1 a.example.com"},
		{"update 10.0.0", 65, "badaddr ..."},
		{"list", 0, "a.example.com. 300 IN A 203.0.113.1"},
	})
	match := newClient(t, g, "allow --address=match b.example.com")
	match.play([]step{
		{"update", 0, "good 203.0.113.1 b.example.com"},
		{"update 203.0.113.1", 0, "nochg 203.0.113.1 b.example.com"},
		{"update 203.0.113.2", 65, "badaddr 203.0.113.2 is not the address that this connection comes from, 203.0.113.1, ..."},
		{"update 203.0.113.1 2001:db8::1", 65, "badaddr 2001:db8::1 is not the address ..."},
		{"update 2001:db8::/64", 65, "badaddr this key may publish only the address that it comes from, 203.0.113.1, and move no prefix"},
	})
	for _, grant := range []string{"allow c.example.com", "allow --address=peer c.example.com", "allow --address=match c.example.com"} {
		local := newClient(t, g, grant)
		local.peer = netip.MustParseAddr("127.0.0.1")
		local.expect(65, "update", "badaddr ...127.0.0.1 is a loopback address; it is what this connection comes from, ...")
	}
	lan := newClient(t, g, "allow --private c.example.com")
	lan.peer = netip.MustParseAddr("fe80::1%eth0")
	lan.expect(65, "update", "badaddr ...fe80::1 is link-local; ...")
	lan.peer = netip.MustParseAddr("192.168.7.7")
	lan.expect(0, "update", "good 192.168.7.7 c.example.com")
	lan.expect(0, "update fd00::7", "good fd00::7 c.example.com")
}

func TestGrants(t *testing.T) {
	g, _ := newGateway(t)
	newClient(t, g, "allow a.example.com").expect(0, "update 192.0.2.1", "good 192.0.2.1 a.example.com")
	newClient(t, g, "allow --read-only a.example.com").play([]step{
		{"list", 0, "a.example.com. 300 IN A 192.0.2.1"},
		{"update 192.0.2.2", 77, "nohost this key may read only"},
		{"update --dry-run 192.0.2.2", 77, "nohost this key may read only"},
		{"offline", 77, "nohost this key may read only"},
		{"update b.example.com 192.0.2.2", 77, "nohost b.example.com is not this key's"},
	})
	newClient(t, g, "allow --read-only --acme a.example.com").expect(77, "acme add a.example.com x", "nohost this key may read only")
	newClient(t, g, "allow .lab.example.com").play([]step{
		{"update x.lab.example.com y.z.lab.example.com 192.0.2.1", 0, "good 192.0.2.1 x.lab.example.com\ngood 192.0.2.1 y.z.lab.example.com"},
		{"update lab.example.com 192.0.2.1", 77, "nohost ..."},
		{"update *.lab.example.com 192.0.2.1", 77, "nohost ..."},
		{"update 192.0.2.1", 64, "badcmd this key has no host of its own, only patterns; name the host"},
		{"offline", 64, "badcmd this key has no host of its own, only patterns; name the host"},
		{"list", 0, "x.lab.example.com. 300 IN A 192.0.2.1\ny.z.lab.example.com. 300 IN A 192.0.2.1"},
	})
	newClient(t, g, "allow --ttl=0 a.example.com").play([]step{
		{"update 192.0.2.1", 0, "good 192.0.2.1 a.example.com"}, // another TTL is a change
		{"update 192.0.2.1", 0, "nochg 192.0.2.1 a.example.com"},
		{"list", 0, "a.example.com. 0 IN A 192.0.2.1"},
	})
	var many []string
	for i := range 101 {
		many = append(many, fmt.Sprintf("h%d.example.com", i))
	}
	big := newClient(t, g, "allow "+strings.Join(many, " "))
	big.expect(65, "update 192.0.2.1", "numhost this key has 101 hosts, and one command takes 100 at most; name them")
	big.expect(65, "update "+strings.Join(many, " ")+" 192.0.2.1", "numhost 101 hosts; one command takes 100 at most")
	if out, status := big.run("update " + strings.Join(many[:100], " ") + " 192.0.2.1"); status != 0 || strings.Count(out, "good ") != 100 {
		t.Errorf("100 hosts: %d, %s", status, out)
	}
}

// TestLease: a refresh is no change to the client, and moves the end.
func TestLease(t *testing.T) {
	g, p := newGateway(t)
	c := newClient(t, g, "allow --lease=1h a.example.com")
	began := time.Now()
	c.expect(0, "update 192.0.2.1", "good 192.0.2.1 a.example.com")
	took := time.Since(began)
	end := func() int64 {
		hosts, err := g.Store.Hosts(c.ctx, []records.Name{"a.example.com"})
		if err != nil {
			t.Fatal(err)
		}
		return hosts[0].Records[0].Expires
	}
	first := end()
	if left := time.Unix(first, 0).Sub(began); left < time.Hour || left > time.Hour+2*time.Second+took {
		t.Errorf("the lease of an hour ends in %s", left)
	}
	time.Sleep(1100 * time.Millisecond)
	c.expect(0, "update 192.0.2.1", "nochg 192.0.2.1 a.example.com")
	if second := end(); second <= first {
		t.Errorf("the lease ended at %d, and ends at %d after a refresh", first, second)
	}
	if last := p.waits[len(p.waits)-1]; last.revision != 2 {
		t.Errorf("the refresh waited for revision %d, want 2", last.revision)
	}
}
