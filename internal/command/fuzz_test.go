package command

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records"
)

// fuzzGrants are the grants that fuzzed commands come with.
var fuzzGrants = []string{
	"allow a.example.com b.example.com *.a.example.com",
	"allow --acme --lease=1h .lab.example.com a.example.com",
	"allow --read-only --acme a.example.com .lab.example.com",
	"allow --address=match --private a.example.com",
	"allow --address=peer a.example.com b.example.com",
	"admin",
}

var fuzzPeers = []string{"203.0.113.1", "2001:db8::1", "10.0.0.1", "127.0.0.1", "::ffff:192.0.2.9"}

// fuzzed is a gateway with hosts of several owners, made anew when it has
// become large.
type fuzzed struct {
	dir     string
	gate    *Interpreter
	clients []*client // by grant
}

func (f *fuzzed) client(t *testing.T, grant, peer uint8) *client {
	if f.gate == nil || f.gate.Store.Len() > 300 {
		f.close()
		var err error
		if f.dir, err = os.MkdirTemp("", "dnsgate-fuzz"); err != nil {
			t.Fatal(err)
		}
		if f.gate, _, err = openGateway(f.dir); err != nil {
			t.Fatal(err)
		}
		f.clients = nil
		newClient(t, f.gate, "allow --acme other.example.com lab.example.com a.example.com *.a.example.com x.lab.example.com").play([]step{
			{"update 192.0.2.1 2001:db8::7", 0, strings.TrimSuffix(strings.Repeat("good ...\n", 5), "\n")},
			{"acme add a.example.com token", 0, "good a.example.com"},
			{"acme add other.example.com token", 0, "good other.example.com"},
		})
		for _, words := range fuzzGrants {
			f.clients = append(f.clients, newClient(t, f.gate, words))
		}
	}
	c := *f.clients[int(grant)%len(f.clients)]
	c.t = t
	c.peer = netip.MustParseAddr(fuzzPeers[int(peer)%len(fuzzPeers)])
	return &c
}

func (f *fuzzed) close() {
	if f.gate != nil {
		f.gate.Store.(io.Closer).Close()
		os.RemoveAll(f.dir)
	}
}

func (f *fuzzed) state() map[records.Name]records.Host {
	state := make(map[records.Name]records.Host)
	names, err := f.gate.Store.Find(context.Background(), records.All)
	if err != nil {
		panic(err)
	}
	hosts, err := f.gate.Store.Hosts(context.Background(), names)
	if err != nil {
		panic(err)
	}
	for _, h := range hosts {
		state[h.Name] = h
	}
	return state
}

// checkWithinGrant checks what c's command made of before.
func checkWithinGrant(t *testing.T, c *client, line string, before, after map[records.Name]records.Host) {
	t.Helper()
	names := make(map[records.Name]bool)
	for name, h := range after {
		names[name] = before[name].Revision != h.Revision
	}
	for name := range before {
		if _, there := after[name]; !there {
			names[name] = true
		}
	}
	changed := 0
	for name, is := range names {
		if !is {
			continue
		}
		changed++
		if !mayChange(c.grant, name) {
			t.Errorf("%q changed %s by the grant %q", line, name, c.grant.Command())
		}
		checkRecords(t, c, line, before[name], after[name])
	}
	if changed > 0 && (c.grant.ReadOnly || strings.Contains(line, "--dry-run")) {
		t.Errorf("%q changed %d hosts", line, changed)
	}
	if c.grant.Admin && changed > 0 && !strings.HasPrefix(strings.TrimLeft(line, " \t"), "offline") {
		t.Errorf("the operator's %q changed %d hosts", line, changed)
	}
}

func mayChange(g authkeys.Grant, name records.Name) bool {
	return g.Admin || g.Covers(name) || g.ACME && name.IsChallenge() && g.Covers(name.Host())
}

func checkRecords(t *testing.T, c *client, line string, before, after records.Host) {
	t.Helper()
	families := make(map[records.Type]int)
	for _, r := range after.Records {
		families[r.Type()]++
		if slices.Contains(before.Records, r) || r.Type() == records.TXT {
			continue
		}
		if err := records.CheckAddress(r.Addr, c.grant.Private); err != nil {
			t.Errorf("%q stored: %v", line, err)
		}
		if c.grant.Address != authkeys.AnyAddress && r.Addr != c.peer.Unmap() {
			t.Errorf("%q stored %s from %s by the grant %q", line, r.Addr, c.peer, c.grant.Command())
		}
	}
	if families[records.A] > records.MaxAddresses || families[records.AAAA] > records.MaxAddresses || families[records.TXT] > records.MaxTexts {
		t.Errorf("%q stored %d addresses and values", line, len(after.Records))
	}
}

// FuzzCommand: whatever a client sends, the process lives, the reply keeps its
// form, and only what the grant is for changes, to what it allows.
func FuzzCommand(f *testing.F) {
	for i, line := range []string{
		"update", "update 192.0.2.7", "update a.example.com b.example.com 192.0.2.1 2001:db8::1", "update --dry-run 192.0.2.9",
		"update x.lab.example.com 192.0.2.1", "update other.example.com 192.0.2.1", "update a.example.com 2001:db8:1::/64", "update -",
		"update a.example.com 10.0.0.1 fd00::1", "update 127.0.0.1", "update a.example.com ::ffff:192.0.2.3", "update A.Example.COM. 1.2.3.4",
		"offline", "offline -4 a.example.com", "offline other.example.com", "offline *.a.example.com",
		"acme add a.example.com token", "acme del _acme-challenge.x.lab.example.com token", "acme add lab.example.com token",
		"acme add _acme-challenge._acme-challenge.x.lab.example.com token", "offline _acme-challenge.a.example.com",
		"list", "list a.example.com", "history", "history x.lab.example.com", "whoami", "help", "version", "",
		"status --json", "hosts --json *a*", "keys", "metrics", "backup", "reload", "rebuild", "hosts ???????*******?*?*?*",
		"update good.ok 1.2.3.4", "update a.example.com;reboot", "update\x00", "update 999999999999999999999", "update fe80::1%eth0",
	} {
		f.Add(line, uint8(i), uint8(i/2))
		f.Add(line, uint8(5), uint8(0))
	}
	printable := regexp.MustCompile(`^([ -~]*\n)*$`)
	var gateway fuzzed
	f.Cleanup(gateway.close)
	f.Fuzz(func(t *testing.T, line string, grant, peer uint8) {
		c := gateway.client(t, grant, peer)
		before := gateway.state()
		out, status := c.run(line)
		checkWithinGrant(t, c, line, before, gateway.state())
		if !slices.Contains([]int{0, 64, 65, 75, 77}, status) {
			t.Errorf("%q: exit status %d", line, status)
		}
		if !printable.MatchString(out) || status == 0 && out != "" && !strings.HasSuffix(out, "\n") {
			t.Errorf("%q: said %q", line, out)
		}
	})
}

// FuzzBatch: a batch keeps within the grant too, answers each line in its
// place, and ends where its lines would have, one after the other.
func FuzzBatch(f *testing.F) {
	for i, in := range []string{
		"192.0.2.1\n192.0.2.2\n192.0.2.1\n", "a.example.com 192.0.2.1\nother.example.com 192.0.2.1\nb.example.com ::1\n", "\n\n \t\n",
		"x.lab.example.com 192.0.2.1\ny.lab.example.com x.lab.example.com 192.0.2.2\nx.lab.example.com 192.0.2.1\n", "192.0.2.1",
		"a.example.com 192.0.2.1\r\n\x00\nb.example.com\n", "a.example.com 2001:db8:1::/64\na.example.com 2001:db8:2::/64\n", "-\n--\n",
		"a.example.com 1.2.3.4 5.6.7.8\nb.example.com 5.6.7.8 1.2.3.4\n*.a.example.com 9.9.9.9\na.example.com 5.6.7.8 1.2.3.4",
	} {
		f.Add([]byte(in), uint8(i), uint8(i))
		f.Add([]byte(in), uint8(1), uint8(0))
	}
	reply := regexp.MustCompile(`^((good|nochg) [0-9a-f:.,]+ [a-z0-9.*-]+|(badcmd|badaddr|notfqdn|numhost|nohost) [ -~]+)$`)
	var batched, single fuzzed
	f.Cleanup(batched.close)
	f.Cleanup(single.close)
	f.Fuzz(func(t *testing.T, in []byte, grant, peer uint8) {
		if grant %= uint8(len(fuzzGrants)); fuzzGrants[grant] == "admin" {
			return
		}
		// The limit of a single command's length counts its verb as well.
		for line := range bytes.Lines(in) {
			if len(line) > maxLine-20 || bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("-")) {
				return
			}
		}
		c, s := batched.client(t, grant, peer), single.client(t, grant, peer)
		before := batched.state()
		c.in = bytes.NewReader(in)
		out, status := c.run("update -")
		checkWithinGrant(t, c, "update -", before, batched.state())

		var want strings.Builder
		worst := 0
		for line := range bytes.Lines(in) {
			text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
			if strings.Trim(text, " \t") == "" {
				continue
			}
			said, status := s.run("update " + text)
			want.WriteString(said)
			worst = max(worst, status)
		}
		places := regexp.MustCompile(`(byte|character) \d+`) // the verb shifts them
		if places.ReplaceAllString(out, "") != places.ReplaceAllString(want.String(), "") || status != worst {
			t.Errorf("the batch %q: %d and\n%s, its lines one by one %d and\n%s", in, status, out, worst, want.String())
		}
		for line := range strings.Lines(out) {
			if !reply.MatchString(strings.TrimSuffix(line, "\n")) {
				t.Errorf("the batch %q: no reply: %q", in, line)
			}
		}
	})
}
