package command

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records"
)

// update runs "update [--dry-run] [HOST...] [ADDRESS...]" and "update -".
func (r *run) update(words []string) error {
	flags, words, err := takeFlags(words, "--dry-run")
	if err != nil {
		return err
	}
	r.record.dryRun = flags["--dry-run"]
	if isBatch(words) {
		return r.batch(flags["--dry-run"])
	}
	u, err := parseUpdate(words)
	if err != nil {
		return err
	}
	u.dryRun = flags["--dry-run"]
	if err := u.authorize(r.grant, r.session.Source); err != nil {
		return err
	}
	r.record.hosts = u.hosts
	done, err := r.transact(u.change(r.interp.change(r.session, r.grant)))
	r.record.note(done)
	if err != nil {
		return err
	}
	for _, d := range done {
		r.out.WriteString(u.reply(d))
	}
	return nil
}

// note collects the changed hosts for the log.
func (rec *record) note(done []outcome) {
	rec.code = NoChange
	for _, d := range done {
		if d.code == Good {
			rec.code = Good
		}
		rec.old = append(rec.old, d.old.Records...)
		rec.new = append(rec.new, d.new.Records...)
	}
}

// addressUpdate is a parsed update.
type addressUpdate struct {
	hosts  []records.Name
	v4, v6 []netip.Addr // the new record sets; nil: leave that family alone
	prefix netip.Prefix // the new prefix of the AAAA records; invalid: none
	dryRun bool
}

// parseUpdate reads [HOST...] [ADDRESS...].
func parseUpdate(words []string) (*addressUpdate, error) {
	first := slices.IndexFunc(words, looksLikeAddress)
	if first < 0 {
		first = len(words)
	}
	u := &addressUpdate{}
	var err error
	if u.hosts, err = parseHosts(words[:first]); err != nil {
		return nil, err
	}
	for _, w := range words[first:] {
		if !looksLikeAddress(w) {
			return nil, refusal(BadCommand, "%q comes after an address; name the hosts first, then their addresses", shown(w))
		}
		if err := u.addAddress(w); err != nil {
			return nil, err
		}
	}
	return u, u.checkSets()
}

func (u *addressUpdate) addAddress(word string) error {
	if prefix, err := netip.ParsePrefix(word); err == nil {
		return u.setPrefix(word, prefix)
	}
	addr, err := records.ParseAddress(word)
	if err != nil {
		return refusal(BadAddress, "%v", err)
	}
	set := &u.v6
	if addr.Is4() {
		set = &u.v4
	}
	if !slices.Contains(*set, addr) {
		*set = append(*set, addr)
	}
	return nil
}

func (u *addressUpdate) setPrefix(word string, p netip.Prefix) error {
	switch {
	case p.Addr().Is4() || p.Addr().Is4In6():
		return refusal(BadAddress, "%s: only an IPv6 prefix can be moved; give the IPv4 address alone", word)
	case u.prefix.IsValid():
		return refusal(BadAddress, "%s: there is a prefix already", word)
	case p.Bits() < 1 || p.Bits() > 127:
		return refusal(BadAddress, "%s: the length of a prefix is 1 to 127", word)
	case p.Masked().Addr() != p.Addr():
		return refusal(BadAddress, "%s: it has host bits; to move the prefix send %s, to set an address leave the length off",
			word, p.Masked())
	}
	u.prefix = p
	return nil
}

func (u *addressUpdate) checkSets() error {
	if len(u.v4) > records.MaxAddresses || len(u.v6) > records.MaxAddresses {
		return refusal(BadAddress, "more than %d addresses of one family", records.MaxAddresses)
	}
	if u.prefix.IsValid() && len(u.v6) > 0 {
		return refusal(BadAddress, "either IPv6 addresses or a prefix, not both")
	}
	slices.SortFunc(u.v4, netip.Addr.Compare)
	slices.SortFunc(u.v6, netip.Addr.Compare)
	return nil
}

// authorize completes u from the grant, and makes all checks that need no store.
func (u *addressUpdate) authorize(g authkeys.Grant, peer netip.Addr) error {
	var err error
	if u.hosts, err = authorizedHosts(g, u.hosts); err != nil {
		return err
	}
	if err := writable(g); err != nil {
		return err
	}
	named := len(u.v4)+len(u.v6) > 0 || u.prefix.IsValid()
	own := !named || g.Address == authkeys.PeerAddress
	if named && g.Address == authkeys.MatchAddress {
		if err := u.matches(peer); err != nil {
			return err
		}
	}
	if own {
		u.setOwn(peer)
	}
	for _, addr := range slices.Concat(u.v4, u.v6) {
		if err := records.CheckAddress(addr, g.Private); err != nil {
			if own {
				return refusal(BadAddress, "%v; it is what this connection comes from, so name the address: update ADDRESS", err)
			}
			return refusal(BadAddress, "%v", err)
		}
	}
	return nil
}

// matches checks that every named address is the connection's own.
func (u *addressUpdate) matches(peer netip.Addr) error {
	for _, addr := range slices.Concat(u.v4, u.v6) {
		if addr != peer.Unmap() {
			return refusal(BadAddress, "%s is not the address that this connection comes from, %s, and this key may publish only that",
				addr, peer.Unmap())
		}
	}
	if u.prefix.IsValid() {
		return refusal(BadAddress, "this key may publish only the address that it comes from, %s, and move no prefix", peer.Unmap())
	}
	return nil
}

func (u *addressUpdate) setOwn(peer netip.Addr) {
	u.v4, u.v6, u.prefix = nil, nil, netip.Prefix{}
	peer = peer.Unmap().WithZone("")
	if peer.Is4() {
		u.v4 = []netip.Addr{peer}
	} else {
		u.v6 = []netip.Addr{peer}
	}
}

// change is the effect of u on each host.
func (u *addressUpdate) change(c change) change {
	c.names, c.dryRun, c.heard = u.hosts, u.dryRun, true
	if u.prefix.IsValid() {
		c.check = anyIPv6
	}
	c.edit = func(h records.Host, now time.Time) (records.Host, error) {
		v6 := u.v6
		if u.prefix.IsValid() {
			var err error
			if v6, err = u.moved(h, c.grant.Private); err != nil {
				return h, err
			}
		}
		h.TTL = c.ttl
		if u.v4 != nil {
			h.Records = replace(h.Records, records.A, u.v4, c.expires(now))
		}
		if v6 != nil {
			h.Records = replace(h.Records, records.AAAA, v6, c.expires(now))
		}
		return h, nil
	}
	return c
}

// moved returns h's IPv6 addresses, if it has any, with u's prefix and their own
// host bits.
func (u *addressUpdate) moved(h records.Host, private bool) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, old := range h.Addresses() {
		if old.Is4() {
			continue
		}
		addr := withPrefix(old, u.prefix)
		if err := records.CheckAddress(addr, private); err != nil {
			return nil, refusal(BadAddress, "%v", err)
		}
		addrs = append(addrs, addr)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), nil
}

// anyIPv6 refuses a prefix if no host of the command has an IPv6 address.
func anyIPv6(hosts []records.Host) error {
	for _, h := range hosts {
		if slices.ContainsFunc(h.Addresses(), netip.Addr.Is6) {
			return nil
		}
	}
	if len(hosts) == 1 {
		return refusal(BadAddress, "%s has no IPv6 address whose host part could be kept; send the whole address once", hosts[0].Name)
	}
	return refusal(BadAddress, "none of these hosts has an IPv6 address whose host part could be kept; send their whole addresses once")
}

func withPrefix(addr netip.Addr, prefix netip.Prefix) netip.Addr {
	a, p := addr.As16(), prefix.Addr().As16()
	for i := range a {
		fixed := min(max(prefix.Bits()-8*i, 0), 8) // bits of this byte that the prefix gives
		mask := byte(0xff) << (8 - fixed)
		a[i] = p[i]&mask | a[i]&^mask
	}
	return netip.AddrFrom16(a)
}

// replace returns rs with the records of type t replaced.
func replace(rs []records.Record, t records.Type, addrs []netip.Addr, expires int64) []records.Record {
	rs = slices.DeleteFunc(slices.Clone(rs), func(r records.Record) bool { return r.Type() == t })
	for _, a := range addrs {
		rs = append(rs, records.Record{Addr: a, Expires: expires})
	}
	records.Sort(rs)
	return rs
}

// reply is a host's line: the addresses of the families that u set.
func (u *addressUpdate) reply(d outcome) string {
	var addrs []netip.Addr
	for _, a := range d.new.Addresses() {
		if a.Is4() && u.v4 != nil || !a.Is4() && (u.v6 != nil || u.prefix.IsValid()) {
			addrs = append(addrs, a)
		}
	}
	return fmt.Sprintf("%s %s %s\n", d.code, cmp.Or(join(addrs, netip.Addr.String), "-"), d.new.Name)
}

// authorizedHosts returns the hosts named, or else the grant's own, after
// making sure that the grant covers every one.
func authorizedHosts(g authkeys.Grant, named []records.Name) ([]records.Name, error) {
	for _, name := range named {
		if !g.Covers(name) {
			return nil, refusal(NoHost, "%s is not this key's", name)
		}
	}
	switch {
	case len(named) > 0:
		return named, nil
	case len(g.Hosts) == 0:
		return nil, refusal(BadCommand, "this key has no host of its own, only patterns; name the host")
	case len(g.Hosts) > maxHosts:
		return nil, refusal(NumHost, "this key has %d hosts, and one command takes %d at most; name them", len(g.Hosts), maxHosts)
	}
	return g.Hosts, nil
}

func writable(g authkeys.Grant) error {
	if g.ReadOnly {
		return refusal(NoHost, "this key may read only")
	}
	return nil
}
