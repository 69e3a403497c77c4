package authkeys

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// sources is a parsed from option: a list of networks and patterns, some of them
// negated. As in sshd, an address is let in if a positive element matches it and no
// negated one does.
type sources struct {
	elements []fromEntry
	broken   string // why no address can be let in; empty: some can
}

// fromEntry is one element of the list: a network, or a pattern on an address's
// text.
type fromEntry struct {
	network netip.Prefix
	pattern string // when network is invalid
	negated bool
}

// parseSources reads the comma-separated list of a from option. It trims nothing around
// the commas, like sshd.
func parseSources(list string) (*sources, error) {
	s := &sources{}
	positive := false
	for element := range strings.SplitSeq(list, ",") {
		text, negated := strings.CutPrefix(element, "!")
		if text == "" {
			s.broken = "an element of the list is empty"
			continue
		}
		e, err := parseSource(text)
		if err != nil {
			return nil, err
		}
		if e.network.IsValid() && e.network.Masked() != e.network {
			s.broken = fmt.Sprintf("%s has bits set behind its length; the network is %s", e.network, e.network.Masked())
		}
		e.negated = negated
		positive = positive || !negated
		s.elements = append(s.elements, e)
	}
	if s.broken == "" && !positive {
		s.broken = "everything in it is negated; add a network to let in"
	}
	return s, nil
}

func parseSource(text string) (fromEntry, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		if addr.Zone() != "" || addr.Is4In6() {
			return fromEntry{}, fmt.Errorf("from: write %s without a zone, and an IPv4 address as such", quote(text))
		}
		return fromEntry{network: netip.PrefixFrom(addr, addr.BitLen())}, nil
	}
	if network, err := netip.ParsePrefix(text); err == nil {
		if network.Addr().Is4In6() {
			return fromEntry{}, fmt.Errorf("from: write the IPv4 network %s as such", quote(text))
		}
		return fromEntry{network: network}, nil
	}
	if err := checkPattern(text); err != nil {
		return fromEntry{}, err
	}
	return fromEntry{pattern: strings.ToLower(text)}, nil
}

// checkPattern refuses text that cannot be a pattern on addresses. Names are never
// looked up, so a pattern on them would let nobody in.
func checkPattern(text string) error {
	wild := strings.ContainsAny(text, "*?")
	digits := strings.Trim(text, "0123456789.*?") == ""
	hex := strings.Trim(text, "0123456789abcdefABCDEF:*?") == ""
	switch {
	case strings.ContainsAny(text, " \t"):
		return fmt.Errorf("from: there is a space in %s; only commas separate", quote(text))
	case strings.Contains(text, "/"):
		return fmt.Errorf("from: %s is not a network", quote(text))
	case wild && (digits || hex):
		return nil
	case digits || hex && strings.Contains(text, ":"):
		return fmt.Errorf("from: %s is not an address", quote(text))
	}
	return fmt.Errorf("from: %s is a hostname, and names are not looked up; give addresses or networks", quote(text))
}

// admit reports whether a connection from addr is let in.
func (s *sources) admit(addr netip.Addr) bool {
	if s == nil {
		return true
	}
	if s.broken != "" {
		return false
	}
	addr = addr.Unmap().WithZone("")
	admitted, text := false, ""
	for _, e := range s.elements {
		if !e.network.IsValid() && text == "" {
			text = addr.String()
		}
		if e.matches(addr, text) {
			if e.negated {
				return false
			}
			admitted = true
		}
	}
	return admitted
}

func (e fromEntry) matches(addr netip.Addr, text string) bool {
	if e.network.IsValid() {
		return e.network.Contains(addr)
	}
	return matchPattern(text, e.pattern)
}

// matchPattern reports whether s matches pattern, where "*" stands for any
// characters and "?" for one. It takes at most len(s) times len(pattern) steps.
func matchPattern(s, pattern string) bool {
	star, from := -1, 0 // the position of the last "*", and the end of the text that it stands for
	i, p := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			i, p = i+1, p+1
		case star >= 0:
			from++
			i, p = from, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// impossible says why no address can be let in, or is empty.
func (s *sources) impossible() string {
	if s == nil {
		return ""
	}
	if s.broken != "" {
		return s.broken
	}
	var denied []netip.Prefix
	for _, e := range s.elements {
		switch {
		case !e.negated:
		case e.network.IsValid():
			denied = append(denied, e.network)
		case strings.Trim(e.pattern, "*") == "":
			return "it negates everything"
		}
	}
	for _, e := range s.elements {
		if !e.negated && e.possible(denied) {
			return ""
		}
	}
	return "what it lets in is negated, or no address looks so"
}

// possible reports whether some address matches e and lies in none of denied. It judges
// patterns only by their length and numbers.
func (e fromEntry) possible(denied []netip.Prefix) bool {
	if e.network.IsValid() {
		return !covered(e.network, denied)
	}
	return fits(e.pattern, "0123456789.*?", len("1.1.1.1"), ".", 3, isOctet) ||
		fits(e.pattern, "0123456789abcdef:*?", len("::"), ":", 8, isGroup)
}

// fits reports whether pattern may match an address with these characters, this length
// and at most this many separators between numbers.
func fits(pattern, characters string, shortest int, separator string, separators int, isNumber func(string) bool) bool {
	if strings.Trim(pattern, characters) != "" || strings.Count(pattern, separator) > separators {
		return false
	}
	if !strings.Contains(pattern, "*") && len(pattern) < shortest {
		return false
	}
	for number := range strings.SplitSeq(pattern, separator) {
		if !strings.ContainsAny(number, "*?") && !isNumber(number) {
			return false
		}
	}
	return true
}

func isOctet(number string) bool {
	n, err := strconv.ParseUint(number, 10, 8)
	return err == nil && strconv.FormatUint(n, 10) == number
}

func isGroup(number string) bool { return len(number) <= 4 }

// covered reports whether every address of p lies in one of networks.
func covered(p netip.Prefix, networks []netip.Prefix) bool {
	var inside []netip.Prefix
	for _, n := range networks {
		if n.Overlaps(p) {
			if n.Bits() <= p.Bits() {
				return true
			}
			inside = append(inside, n)
		}
	}
	if len(inside) == 0 {
		return false
	}
	low, high := halves(p)
	return covered(low, inside) && covered(high, inside)
}

func halves(p netip.Prefix) (low, high netip.Prefix) {
	bits := p.Bits()
	b := p.Addr().AsSlice()
	b[bits/8] |= 0x80 >> (bits % 8)
	upper, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(p.Addr(), bits+1), netip.PrefixFrom(upper, bits+1)
}
