package push

import "net/netip"

// interfaceAddress is an address that an interface has, and may use.
type interfaceAddress struct {
	addr       netip.Addr
	temporary  bool // of RFC 8981; or an IPv4 address beside another of its network
	deprecated bool // not for new connections
}

// ofInterface picks one address of each family. The first of the best counts.
func (j *job) ofInterface(name string) addresses {
	all, err := interfaceAddresses(name)
	if err != nil {
		return nil
	}
	found, best := addresses{}, map[family]int{}
	for _, a := range all {
		f := family(4)
		if a.addr.Is6() {
			f = 6
		}
		rank, ok := j.rank(a)
		if before, had := best[f]; !ok || had && before <= rank {
			continue
		}
		best[f], found[f] = rank, a.addr.String()
		if f == 6 && j.conf.Prefix > 0 {
			found[f] = prefixOf(a.addr, j.conf.Prefix)
		}
	}
	return found
}

// rank is the lower the better: rather public than private, rather preferred
// than deprecated, rather of the wanted sort.
func (j *job) rank(a interfaceAddress) (rank int, ok bool) {
	k := kindOfAddress(a.addr)
	if isSubnet(a.addr) {
		k = special
	}
	if k == special || k == private && !j.conf.Private {
		return 0, false
	}
	if k == private {
		rank += 8
	}
	if a.deprecated {
		rank += 4
	}
	switch isIPv6, sort := a.addr.Is6(), j.conf.IPv6; {
	case isIPv6 && sort == "any":
	case isIPv6 && sort == "temporary" && a.temporary:
	case isIPv6 && sort == "temporary", a.temporary:
		rank += 2
	}
	return rank, true
}
