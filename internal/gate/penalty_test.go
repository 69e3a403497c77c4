package gate

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

func source(s string) netip.Prefix { return sourceNetwork(netip.MustParseAddr(s)) }

func TestPenalties(t *testing.T) {
	var p penalties
	now := time.Now()
	a, b := source("192.0.2.1"), source("2001:db8::1")
	at := func(d time.Duration) time.Time { return now.Add(d) }
	if a != netip.MustParsePrefix("192.0.2.1/32") || b != netip.MustParsePrefix("2001:db8::/64") {
		t.Fatal(a, b)
	}
	for i := range 3 {
		if _, begins := p.add(a, authFail, now); begins || p.slows(a, now) {
			t.Fatalf("refused after %d failures", i+1)
		}
	}
	until, begins := p.add(a, noAuth, now)
	if !begins || until != at(16*time.Second) {
		t.Errorf("16 seconds: %v, until %v", begins, until.Sub(now))
	}
	if _, begins := p.add(a, authFail, now); begins {
		t.Error("it begins twice")
	}
	if !p.slows(a, at(20*time.Second)) {
		t.Error("not refused to the end") // though less than penaltyMin is left
	}
	if p.slows(a, at(21*time.Second)) {
		t.Error("refused for ever")
	}
	if p.slows(b, now) {
		t.Error("another source is refused")
	}
	for range 100 {
		p.add(b, crash, now)
	}
	if !p.slows(b, at(penaltyMax-1)) || p.slows(b, at(penaltyMax)) {
		t.Error("not the most")
	}
	// What came slowly enough has run off.
	for i := range 100 {
		if _, begins := p.add(a, authFail, at(time.Duration(i)*6*time.Second)); begins {
			t.Fatal("refused though each penalty had run off")
		}
	}
}

func TestPenaltiesShown(t *testing.T) {
	var p penalties
	now := time.Now()
	for i := range 50 {
		for range 2 + i%2 {
			p.add(netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32), graceExceeded, now)
		}
	}
	p.add(source("198.51.100.1"), noAuth, now) // not refused
	refused, longest := p.list(now)
	if refused != 50 || len(longest) != maxPenalties || longest[0].Until != now.Add(30*time.Second) || longest[0].Why != graceExceeded.name {
		t.Errorf("%d refused, %d shown, %+v", refused, len(longest), longest[0])
	}
	if refused, longest := p.list(now.Add(time.Hour)); refused != 0 || longest == nil || len(longest) != 0 {
		t.Errorf("%d, %v after an hour", refused, longest)
	}
}

// TestPenaltiesBounded has more sources than are kept, of both families.
func TestPenaltiesBounded(t *testing.T) {
	var p penalties
	now := time.Now()
	worst := source("192.0.2.1")
	p.add(worst, crash, now)
	for i := range uint32(2 * maxPenalized) {
		var v4 [4]byte
		binary.BigEndian.PutUint32(v4[:], 10<<24|i)
		p.add(netip.PrefixFrom(netip.AddrFrom4(v4), 32), noAuth, now)
		v6 := [16]byte{0x20, 1}
		binary.BigEndian.PutUint32(v6[4:], i)
		p.add(netip.PrefixFrom(netip.AddrFrom16(v6), 64), authFail, now)
	}
	for _, box := range []*penaltyBox{&p.v4, &p.v6} {
		if len(box.by) != maxPenalized || len(box.soonest) != maxPenalized {
			t.Errorf("%d and %d kept", len(box.by), len(box.soonest))
		}
	}
	if !p.slows(worst, now) {
		t.Error("the longest penalty was forgotten first")
	}
	p.slows(worst, now.Add(time.Hour))
	if len(p.v4.by) != 0 {
		t.Errorf("%d kept after an hour", len(p.v4.by))
	}
}
