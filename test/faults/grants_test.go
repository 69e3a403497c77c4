package faults

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/test/rig"

	"golang.org/x/crypto/ssh"
)

// owner is a key, and what it may do as the test sees it.
type owner struct {
	grant   []string
	private bool
	key     ssh.Signer
}

// owns is the grant's meaning, told in another way than the gateway does.
func (o *owner) owns(name string) bool {
	challenge := strings.TrimPrefix(name, "_acme-challenge.")
	if challenge != name {
		return slices.Contains(o.grant, "--acme") && !strings.HasPrefix(challenge, "*") && o.owns(challenge)
	}
	for _, g := range o.grant {
		if g == name || g[0] == '.' && strings.HasSuffix(name, g) && name != g && name[0] != '*' {
			return !slices.Contains(o.grant, "--read-only")
		}
	}
	return false
}

// reads is what it may see.
func (o *owner) reads(name string) bool {
	reader := owner{grant: slices.DeleteFunc(slices.Clone(o.grant), func(g string) bool { return g == "--read-only" })}
	reader.grant = append(reader.grant, "--acme")
	return reader.owns(name)
}

var (
	hostWords = []string{
		"a.dyn.example.com", "A.Dyn.Example.COM", "a.dyn.example.com.", "b.dyn.example.com", "*.a.dyn.example.com",
		"*.dyn.example.com", "dyn.example.com", "lab.example.com", "x.lab.example.com", "y.x.lab.example.com",
		"*.lab.example.com", "*.x.lab.example.com", "evillab.example.com", "aa.dyn.example.com", "x.a.dyn.example.com",
		"_acme-challenge.a.dyn.example.com", "_acme-challenge.x.lab.example.com", "_acme-challenge.lab.example.com",
		"_acme-challenge._acme-challenge.a.dyn.example.com", "*._acme-challenge.a.dyn.example.com",
		"good.lab.example.com", "nochg.lab.example.com", "ok.lab.example.com", "good", "example.com", "com", ".", "..", "-", "--",
		"a..dyn.example.com", ".lab.example.com", "a.dyn.example.com:", "a_b.lab.example.com", "-x.lab.example.com",
		"1.2.3", "0x7f.1", strings.Repeat("l", 63) + ".lab.example.com", strings.Repeat("l", 64) + ".lab.example.com",
		strings.Repeat("a.", 119) + "lab.example.com", strings.Repeat("a.", 121) + "lab.example.com",
	}
	addressWords = []string{
		"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "::ffff:192.0.2.3", "2001:db8:1:2::/64", "fd00::/8",
		"10.0.0.1", "100.64.0.1", "fd00::1", "127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1",
		"fe80::1%eth0", "255.255.255.255", "240.0.0.1", "169.254.1.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
		"192.0.2.1/24", "fe80::/10", "::/1", "2001:db8::1/64", "192.0.2", "192.0.2.256", "2001:db8:::1", "1", "good", "fec0::1", "::127.0.0.1",
	}
	verbWords = []string{
		"update", "update", "update", "update --dry-run", "offline", "offline -4", "offline -6", "acme add", "acme add",
		"acme del", "list", "history", "whoami", "help", "version", "status", "hosts", "keys", "backup", "reload",
		"rebuild", "metrics", "UPDATE", "good", "ok", "",
	}
	success = regexp.MustCompile(`(?i)good|nochg|\bok\b`)
)

// random is a command; more often than not of names that are o's, and of
// addresses that may be.
func (o *owner) random(rng *rand.Rand) string {
	words := []string{verbWords[rng.IntN(len(verbWords))]}
	hosts, addresses := hostWords, addressWords
	if rng.IntN(3) > 0 {
		hosts = slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return !o.owns(h) || h[0] == '_' })
		addresses = addresses[:4]
	}
	for range rng.IntN(3) {
		if len(hosts) > 0 {
			words = append(words, hosts[rng.IntN(len(hosts))])
		}
	}
	for range rng.IntN(3) {
		words = append(words, addresses[rng.IntN(len(addresses))])
	}
	return strings.Join(words, " ")
}

// TestGrantsHold has owners of all kinds of grants send anything, at once, and
// then looks at everything that was stored, and at every reply.
func TestGrantsHold(t *testing.T) {
	g := newGateway(t)
	owners := []*owner{
		{grant: []string{"a.dyn.example.com"}},
		{grant: []string{"--acme", "a.dyn.example.com", "b.dyn.example.com"}},
		{grant: []string{"*.a.dyn.example.com"}},
		{grant: []string{"--acme", ".lab.example.com"}},
		{grant: []string{"--private", "--lease=1s", ".lab.example.com"}, private: true},
		{grant: []string{"--read-only", "--acme", ".lab.example.com", "a.dyn.example.com"}},
		{grant: []string{"--address=match", "dyn.example.com"}},
		{grant: []string{"--address=peer", "lab.example.com"}},
	}
	byKey := make(map[string]*owner)
	for _, o := range owners {
		o.key = g.Authorize(t, o.grant...)
		byKey[ssh.FingerprintSHA256(o.key.PublicKey())] = o
	}
	g.Start(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var all sync.WaitGroup
	for i, o := range owners {
		all.Go(func() { o.attack(t, g, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	all.Wait()
	backup, exit := g.Say(g.admin, "backup")
	if exit != 0 {
		t.Fatal(backup)
	}
	changes := 0
	for line := range strings.Lines(backup) {
		f := strings.Fields(line)
		if len(f) != 8 || f[0] == "#" || f[6] == "lease" || f[6] == "backup" {
			continue
		}
		changes++
		o := byKey[f[6]]
		if o == nil || !o.owns(f[2]) {
			t.Errorf("stored for nobody who owns it: %s", line)
			continue
		}
		for value := range strings.SplitSeq(f[4], ",") {
			value, _, _ = strings.Cut(value, "@")
			if a, err := netip.ParseAddr(value); err == nil && !o.may(a) && !strings.Contains(f[3], value) {
				t.Errorf("stored is an address that may not be: %s", line)
			}
		}
	}
	t.Logf("%d changes", changes)
	if changes == 0 {
		t.Error("nothing was stored, so nothing was tested")
	}
}

// may says which addresses may be published.
func (o *owner) may(a netip.Addr) bool {
	private := a.IsPrivate() || netip.MustParsePrefix("100.64.0.0/10").Contains(a) || netip.MustParsePrefix("fec0::/10").Contains(a)
	return a.IsGlobalUnicast() && !a.IsLoopback() && (!private || o.private) &&
		!netip.MustParsePrefix("240.0.0.0/4").Contains(a)
}

func (o *owner) attack(t *testing.T, g *gateway, rng *rand.Rand) {
	conn, err := g.Dial(o.key)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	for range 300 {
		command := o.random(rng)
		out, exit := rig.SayOn(conn, command, "")
		o.check(t, command, out, exit)
	}
	var lines []string // and the same as a batch
	for len(lines) < 300 {
		line := strings.TrimPrefix(o.random(rng), "update ")
		if strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	out, _ := rig.SayOn(conn, "update -", strings.Join(lines, "\n")+"\n")
	answers := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(answers) < len(lines) {
		t.Errorf("%v: %d answers to %d lines", o.grant, len(answers), len(lines))
	}
	for _, answer := range answers {
		o.check(t, "(batch)", answer+"\n", 0)
	}
}

// check looks at a reply: whose names it tells, and whether it is honest.
func (o *owner) check(t *testing.T, command, out string, exit int) {
	verb, _, _ := strings.Cut(command, " ")
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		switch {
		case f[0] == "good" || f[0] == "nochg":
			name := f[len(f)-1]
			if exit != 0 || !o.owns(name) && !o.owns("_acme-challenge."+name) {
				t.Errorf("%v: %q: %d, %s", o.grant, command, exit, line)
			}
		case exit == 0 && verb == "list":
			if !o.reads(strings.TrimSuffix(f[0], ".")) {
				t.Errorf("%v: %q tells %s", o.grant, command, line)
			}
		case exit == 0 && verb == "history":
			if !o.reads(f[1]) {
				t.Errorf("%v: %q tells %s", o.grant, command, line)
			}
		case exit == 0 && slices.Contains([]string{"whoami", "help", "version"}, verb):
		case success.MatchString(line):
			t.Errorf("%v: %q is explained with %s", o.grant, command, line)
		}
	}
	if exit == 255 || exit < 0 && command != "" {
		t.Errorf("%v: %q ends with %d: %s", o.grant, command, exit, out)
	}
	if exit == 0 && slices.Contains([]string{"status", "hosts", "keys", "backup", "reload", "rebuild", "metrics"}, verb) {
		t.Errorf("%v: %q: %s", o.grant, command, fmt.Sprint(out))
	}
}
