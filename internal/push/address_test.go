package push

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"dnsgate/internal/records"
)

// TestAddressesAsTheGateway compares what is let through with what the gateway
// publishes. Stricter is only what nobody writes: IPv4 inside of IPv6, and
// the unused ::/80.
func TestAddressesAsTheGateway(t *testing.T) {
	words := strings.Fields(`0.0.0.0 0.255.255.255 1.0.0.0 9.255.255.255 10.0.0.0 10.255.255.255 11.0.0.0 100.63.255.255 100.64.0.0
		100.127.255.255 100.128.0.0 127.0.0.1 128.0.0.0 169.253.255.255 169.254.0.0 169.255.0.0 172.15.255.255 172.16.0.0
		172.31.255.255 172.32.0.0 192.167.255.255 192.168.0.0 192.169.0.0 223.255.255.255 224.0.0.0 239.255.255.255 240.0.0.0
		255.255.255.255 256.1.1.1 1.2.3 01.2.3.4 1.2.3.4/32 1.2.3.4:80 peer :: ::1 1:: 2001:db8::1 2001:DB8::aBcD 1:2:3:4:5:6:7::
		1::2:3:4:5:6:7:8 12345::1 g::1 2001:db8::1%eth0 fbff::1 fc00:: fdff::1 fe00::1 fe7f::1 fe80::1 febf::1 fec0::1 feff::1 ff00:: ff02::1`)
	r := rand.New(rand.NewPCG(4, 6))
	for range 20000 {
		var b [16]byte
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if r.IntN(2) == 0 {
			b[0] = 0xfe | b[0]&1
		}
		words = append(words, netip.AddrFrom16(b).String(), netip.AddrFrom4([4]byte(b[4:8])).String())
	}
	for _, word := range words {
		for _, private := range []bool{false, true} {
			addr, err := records.ParseAddress(word)
			want := err == nil && records.CheckAddress(addr, private) == nil && !netip.MustParsePrefix("::/80").Contains(addr)
			if err := (addresses{}).accept(word, private); (err == nil) != want {
				t.Errorf("%s, private %v: %v", word, private, err)
			}
		}
	}
}

func TestHostnamesAsTheGateway(t *testing.T) {
	for _, name := range words["hosts"] {
		_, err := records.ParseName(name)
		if isHostname(name) != (err == nil) && !strings.HasSuffix(name, ".") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPrefix(t *testing.T) {
	for word, want := range map[string]string{
		"2001:db8:1:2:3::4/56": "2001:db8:1:0:0:0:0:0/56",
		"2001:db8:1:2::/64":    "2001:db8:1:2:0:0:0:0/64",
		"2001:db8:1:23ff::/58": "2001:db8:1:23c0:0:0:0:0/58",
		"2001:db8::1/127":      "2001:db8:0:0:0:0:0:0/127",
		"2001:db8::/1":         "0:0:0:0:0:0:0:0/1",
		"2001:db8::/0":         "", "2001:db8::/128": "", "2001:db8::/064": "", "2001:db8::/": "", "/64": "", "1.2.3.4/24": "",
		"fe80::/64": "", "2001:db8::/64/64": "", "2001:db8::/6x": "", "fd00::/48": "",
	} {
		got := addresses{}
		err := got.accept(word, false)
		if got[6] != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", word, got[6], err)
		}
	}
}

func TestRank(t *testing.T) {
	public, other, ula := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("fd00::1")
	better := []struct {
		ipv6         string
		first, later interfaceAddress
	}{
		{"stable", interfaceAddress{addr: public}, interfaceAddress{addr: other, temporary: true}},
		{"temporary", interfaceAddress{addr: public, temporary: true}, interfaceAddress{addr: other}},
		{"stable", interfaceAddress{addr: public, temporary: true}, interfaceAddress{addr: other, deprecated: true}},
		{"any", interfaceAddress{addr: public, temporary: true}, interfaceAddress{addr: other, deprecated: true}},
		{"temporary", interfaceAddress{addr: public}, interfaceAddress{addr: other, temporary: true, deprecated: true}},
		{"stable", interfaceAddress{addr: public, temporary: true, deprecated: true}, interfaceAddress{addr: ula}},
	}
	for _, test := range better {
		j := &job{conf: Config{IPv6: test.ipv6, Private: true}}
		first, _ := j.rank(test.first)
		later, _ := j.rank(test.later)
		if first >= later {
			t.Errorf("ipv6 %s: %+v is no better than %+v", test.ipv6, test.first, test.later)
		}
	}
}
