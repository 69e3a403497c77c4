package push

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// family is 4 or 6, or anyFamily for a connection.
type family int

const anyFamily family = 0

// addresses holds what is to be sent for each family: words joined by commas,
// or peerAddress; a family without is not there.
type addresses map[family]string

const peerAddress = "peer"

func (a addresses) words(f family) []string {
	if a[f] == "" || a[f] == peerAddress {
		return nil
	}
	return strings.Split(a[f], ",")
}

func (a addresses) add(f family, word string) {
	if a[f] != "" {
		word = a[f] + "," + word
	}
	a[f] = word
}

// kind says where an address means something.
type kind int

const (
	none    kind = iota // not an address
	special             // nowhere else: never published
	private             // inside of some network
	public
)

var (
	sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
	siteLocal   = netip.MustParsePrefix("fec0::/10")     // RFC 3879
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")     // RFC 6890
	classE      = netip.MustParsePrefix("240.0.0.0/4")
	lowest80    = netip.MustParsePrefix("::/80") // loopback, and IPv4 in disguise
)

// kindOf is as strict as the script: neither zones nor dotted tails are
// addresses.
func kindOf(word string) (netip.Addr, kind) {
	addr, err := netip.ParseAddr(word)
	if err != nil || strings.Contains(word, "%") || strings.Contains(word, ":") && strings.Contains(word, ".") {
		return netip.Addr{}, none
	}
	return addr, kindOfAddress(addr)
}

func kindOfAddress(addr netip.Addr) kind {
	switch {
	case thisNetwork.Contains(addr), classE.Contains(addr), lowest80.Contains(addr),
		addr.IsLoopback(), addr.IsLinkLocalUnicast(), addr.IsMulticast():
		return special
	case addr.IsPrivate(), sharedSpace.Contains(addr), siteLocal.Contains(addr):
		return private
	}
	return public
}

// isSubnet reports whether the host part of an IPv6 address is zero: it is the
// subnet's own (RFC 4291 section 2.6.1), and no host's.
func isSubnet(addr netip.Addr) bool {
	return addr.Is6() && netip.PrefixFrom(addr, 64).Masked().Addr() == addr
}

// accept adds an address, or an IPv6 prefix, that may be published.
func (a addresses) accept(word string, privateToo bool) error {
	base, bits, isPrefix := strings.Cut(word, "/")
	addr, k := kindOf(base)
	f, what := family(4), word
	if addr.Is6() {
		f = 6
	}
	if isPrefix {
		if f != 6 || !isNumber(bits, 1, 127) {
			k = none
		} else {
			n, _ := strconv.Atoi(bits)
			what = prefixOf(addr, n)
		}
	}
	switch {
	case !isPrefix && k != none && k != special && isSubnet(addr):
		return fmt.Errorf("%s is the address of a subnet; to move its hosts to that prefix, send it with /64", word)
	case k == none:
		return fmt.Errorf(`"%s" is not an address`, shown(word))
	case k == special:
		return fmt.Errorf("%s is a loopback, link-local, multicast or reserved address", word)
	case k == private && !privateToo:
		return fmt.Errorf("%s is a private address, and push.conf does not say \"private yes\"", word)
	}
	a.add(f, what)
	return nil
}

// prefixOf writes a prefix of an IPv6 address as the script does, so that both
// know each other's notes: all eight groups.
func prefixOf(addr netip.Addr, bits int) string {
	b := netip.PrefixFrom(addr, bits).Masked().Addr().As16()
	var groups []string
	for i := 0; i < len(b); i += 2 {
		groups = append(groups, strconv.FormatUint(uint64(b[i])<<8|uint64(b[i+1]), 16))
	}
	return fmt.Sprintf("%s/%d", strings.Join(groups, ":"), bits)
}
