package clients_test

import (
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// otherServer is what docs/two-name-servers.md begins with on ns2: dnsgate, its account,
// and a tinydns with the gateway's static lines.
const otherServer = `
ip addr add 203.0.113.54/24 dev eth0
ip link set eth0 up
echo 203.0.113.53 gate.example.com >>/etc/hosts
go build -o /usr/local/bin/dnsgate ./cmd/dnsgate
useradd --system --home-dir /etc/dnsgate --shell /usr/sbin/nologin dnsgate
mkdir -p /etc/tinydns/root
cd /etc/tinydns/root
cat >data <<'END'
.example.com:203.0.113.53:a
=gate.example.com:203.0.113.53
END
tinydns-data
`

// gatewayToFollow is the gateway as docs/first-steps.md leaves it, with a client's key.
const gatewayToFollow = `
go build -o /usr/local/bin/dnsgate ./cmd/dnsgate
dnsgate init /etc/dnsgate >/dev/null
sed -i 's|^root = "root"|root = "/etc/tinydns/root"|' /etc/dnsgate/dnsgate.toml
useradd --system --home-dir /etc/dnsgate --shell /usr/sbin/nologin dnsgate
install -d -o dnsgate -m 700 /etc/dnsgate/state
chown dnsgate: /etc/dnsgate/ssh_host_ed25519_key /etc/tinydns/root /etc/tinydns/root/data.cdb
ssh-keygen -q -t ed25519 -N '' -f /root/home
dnsgate key add home.example.com </root/home.pub
echo "[203.0.113.53]:2222 $(ssh-keygen -y -f /etc/dnsgate/ssh_host_ed25519_key)" >/root/known_hosts
`

const update = `ssh -n -F none -i /root/home -o UserKnownHostsFile=/root/known_hosts -p 2222 203.0.113.53 update `

// TestTwoNameServers does what docs/two-name-servers.md says, on two machines with real
// tinydns, and looks at what the page says of each being away.
func TestTwoNameServers(t *testing.T) {
	rig.Needs(t, "svscan", "setuidgid", "tinydns", "tinydns-data", "dig", "ip", "nsenter", "useradd", "ssh", "ssh-keygen")
	t.Parallel()
	gate, ns2 := newMachine(t, "gate.example.com"), newMachine(t, "ns2")
	rig.Link(t, gate.Machine, ns2.Machine, "eth0")
	gate.do(t, bareGateway, "")
	gate.background(t, "svscan /etc/service")
	gate.do(t, gatewayToFollow, "")
	gate.background(t, "setuidgid dnsgate dnsgate serve")
	gate.await(t, update+"203.0.113.7 || :", "good 203.0.113.7 home.example.com\n")
	ns2.do(t, otherServer, "")
	ns2.background(t, "env ROOT=/etc/tinydns/root IP=203.0.113.54 UID=65534 GID=65534 tinydns")

	var keys clipboard
	status := ""
	following := "setuidgid dnsgate dnsgate follow"
	for _, p := range read(t, "docs/two-name-servers.md")[1:] {
		m := gate
		if p.heading == "ns2" {
			m = ns2
		}
		for _, block := range p.blocks {
			if strings.HasPrefix(block, "systemctl") {
				ns2.background(t, following)
				ns2.await(t, "dig +short home.example.com @203.0.113.54", "203.0.113.7\n")
				continue
			}
			said := keys.do(t, m, block)
			if strings.Contains(block, "admin status") {
				status = said
			}
		}
	}
	if !strings.Contains(status, "\ngateway gate.example.com:2222: connected since ") {
		t.Errorf("on ns2, status said\n%s", status)
	}
	if said := gate.do(t, "dnsgate admin status", ""); !strings.Contains(said, `"ns2" from 203.0.113.54: `) {
		t.Errorf("on the gateway, status says\n%s", said)
	}

	// Good is what both serve.
	gate.await(t, update+"203.0.113.8", "good 203.0.113.8 home.example.com\n")
	for _, server := range []string{"203.0.113.53", "203.0.113.54"} {
		if said := gate.do(t, "dig +short home.example.com @"+server, ""); said != "203.0.113.8\n" {
			t.Errorf("%s says %q after good", server, said)
		}
	}
	// ns2 is away, and comes back.
	ns2.do(t, "ip link set eth0 down", "")
	gate.await(t, update+"203.0.113.9 2>/dev/null || :", "dnserr stored, and published here; 0 of 1 followers have it\n")
	ns2.do(t, "ip link set eth0 up", "")
	gate.await(t, update+"203.0.113.9 2>/dev/null || :", "nochg 203.0.113.9 home.example.com\n")
	// The gateway is away: ns2 serves, a follower that starts then too.
	gate.do(t, "ip link set eth0 down", "")
	ns2.do(t, `kill $(cat /proc/[0-9]*/stat | awk '$2 == "(dnsgate)" { print $1 }')`, "")
	ns2.background(t, following)
	if said := ns2.do(t, "dig +short home.example.com @203.0.113.54", ""); said != "203.0.113.9\n" {
		t.Errorf("without the gateway ns2 says %q", said)
	}
}
