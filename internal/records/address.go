package records

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrNotAddress is wrapped by every error of ParseAddress and CheckAddress.
var ErrNotAddress = errors.New("not an address to publish")

// ParseAddress reads an IPv4 or IPv6 address without a zone. An IPv4-mapped
// IPv6 address is the IPv4 address.
func ParseAddress(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: %q is neither an IPv4 nor an IPv6 address", ErrNotAddress, clip(s))
	}
	if addr.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%w: %q has a zone", ErrNotAddress, clip(s))
	}
	return addr.Unmap(), nil
}

// special lists the blocks of the IANA special-purpose registries (RFC 6890)
// that mean nothing to the rest of the Internet.
var special = []struct {
	prefix  netip.Prefix
	what    string
	private bool // may be published where the grant says so
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified", false},
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address", false},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local", false},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast", false},
	{netip.MustParsePrefix("255.255.255.255/32"), "the broadcast address", false},
	{netip.MustParsePrefix("240.0.0.0/4"), "in the reserved class E", false},
	{netip.MustParsePrefix("::/128"), "unspecified", false},
	{netip.MustParsePrefix("::1/128"), "a loopback address", false},
	{netip.MustParsePrefix("fe80::/10"), "link-local", false},
	{netip.MustParsePrefix("ff00::/8"), "multicast", false},
	{netip.MustParsePrefix("10.0.0.0/8"), "private", true},
	{netip.MustParsePrefix("172.16.0.0/12"), "private", true},
	{netip.MustParsePrefix("192.168.0.0/16"), "private", true},
	{netip.MustParsePrefix("100.64.0.0/10"), "private (shared by a carrier's customers)", true},
	{netip.MustParsePrefix("fc00::/7"), "private (a unique local address)", true},
	{netip.MustParsePrefix("fec0::/10"), "private (a site-local address)", true},
}

// CheckAddress returns an error that says why addr may not be published: it is
// special, or the address of an IPv6 subnet (RFC 4291 section 2.6.1).
// Private, carrier-shared and unique local addresses may be where private is
// set.
func CheckAddress(addr netip.Addr, private bool) error {
	if err := checkSpecial(addr, private); err != nil {
		return err
	}
	addr = addr.Unmap().WithZone("")
	if subnet := netip.PrefixFrom(addr, 64).Masked(); addr.Is6() && subnet.Addr() == addr {
		return fmt.Errorf("%w: %s is a subnet's own; to move a host to that prefix and keep its host part, send %s", ErrNotAddress, addr, subnet)
	}
	return nil
}

// checkSpecial is CheckAddress without the rule about subnets: stores from before 0.1
// may have such addresses.
func checkSpecial(addr netip.Addr, private bool) error {
	if !addr.IsValid() {
		return fmt.Errorf("%w: there is none", ErrNotAddress)
	}
	addr = addr.Unmap().WithZone("")
	for _, s := range special {
		if s.prefix.Contains(addr) && !(s.private && private) {
			return fmt.Errorf("%w: %s is %s", ErrNotAddress, addr, s.what)
		}
	}
	return nil
}
