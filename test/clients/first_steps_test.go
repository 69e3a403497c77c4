package clients_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"dnsgate/test/rig"
)

// bareGateway is what docs/first-steps.md begins with: a tinydns that serves
// example.com under svscan, as tinydns-conf makes it.
const bareGateway = `
ip addr add 203.0.113.53/24 dev eth0
ip addr add 198.51.100.1/24 dev eth0
ip link set eth0 up
mkdir -p /etc/tinydns/root /etc/tinydns/env
cd /etc/tinydns
echo 203.0.113.53 >env/IP
echo /etc/tinydns/root >env/ROOT
cat >run <<'END'
#!/bin/sh
exec 2>&1
exec envuidgid nobody envdir ./env softlimit -d300000 tinydns
END
chmod 755 run
cat >root/data <<'END'
.example.com:203.0.113.53:a
=gate.example.com:203.0.113.53
END
cd root
tinydns-data
ln -s /etc/tinydns /etc/service/tinydns
`

// The laptop asks the gateway's tinydns for names, and wakes up in another
// network later.
const (
	bareLaptop = `
ip addr add 203.0.113.7/24 dev eth0
ip link set eth0 up
rm -f /etc/resolv.conf
echo 'nameserver 203.0.113.53' >/etc/resolv.conf
`
	elsewhere = `
ip addr del 203.0.113.7/24 dev eth0
ip addr add 198.51.100.8/24 dev eth0
ip route add default via 198.51.100.1
`
)

// TestFirstSteps does what docs/first-steps.md says, on two machines, with the
// lines pasted that it says to paste.
func TestFirstSteps(t *testing.T) {
	rig.Needs(t, "svscan", "setuidgid", "tinydns", "tinydns-data", "dig", "/usr/sbin/cron", "ip", "nsenter", "useradd", "ssh-keygen")
	t.Parallel()
	gate, laptop := newMachine(t, "gate.example.com"), newMachine(t, "laptop")
	rig.Link(t, gate.Machine, laptop.Machine, "eth0")
	gate.do(t, bareGateway, "")
	laptop.do(t, bareLaptop, "")
	gate.background(t, "svscan /etc/service")

	var keys clipboard
	answered, asked := "", 0
	for _, p := range read(t, "docs/first-steps.md")[1:] {
		m := gate
		if p.heading == "On the laptop" {
			m = laptop
		}
		for _, block := range p.blocks {
			if strings.HasPrefix(block, "dig ") {
				if asked++; asked == 2 {
					laptop.do(t, elsewhere, "")
					laptop.background(t, "cron -f") // it boots there
				}
				answered += m.await(t, block, documentedAnswer(t, asked))
				continue
			}
			answered += keys.do(t, m, block)
		}
	}
	for _, line := range indented(t) {
		if !strings.Contains(answered, line) {
			t.Errorf("nothing answered %q", line)
		}
	}
	if asked != 2 {
		t.Errorf("dig was asked %d times", asked)
	}
}

// indented returns the replies that the document shows.
func indented(t *testing.T) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(rig.Source(t, "docs/first-steps.md"))
	rig.Must(t, err)
	for _, m := range regexp.MustCompile(`(?m)^    (.*\n)`).FindAllStringSubmatch(string(text), -1) {
		lines = append(lines, m[1])
	}
	return lines
}

// documentedAnswer is what the document shows for dig's nth answer: the last
// replies in it.
func documentedAnswer(t *testing.T, n int) string {
	t.Helper()
	lines := indented(t)
	return lines[len(lines)-3+n]
}

// await repeats a script until it says what is wanted.
func (m *machine) await(t *testing.T, script, want string) string {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		said := m.do(t, script, "")
		if said == want {
			return said
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %s says %q, want %q", m.name, script, said, want)
		}
	}
}
