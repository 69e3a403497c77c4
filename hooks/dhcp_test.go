package hooks_test

import (
	"strings"
	"testing"
	"time"

	"dnsgate/test/rig"
)

// newLAN gives home a second interface, lan0, where the gateway's machine is
// router and gives out addresses.
func newLAN(t *testing.T, conf ...string) *network {
	t.Helper()
	rig.Needs(t, "dnsmasq", "pgrep")
	n := newNetwork(t, conf...)
	rig.Link(t, n.gate, n.home, "lan0")
	n.gate.Must(t, "ip", "addr", "add", "203.0.113.1/24", "dev", "lan0")
	n.gate.Must(t, "ip", "addr", "add", "2001:db8:0:7::1/64", "dev", "lan0")
	return n
}

// lease makes dnsmasq give out this address, and this prefix by router
// advertisements.
func (n *network) lease(t *testing.T, address, prefix string) {
	t.Helper()
	n.gate.Must(t, "sh", "-c", "! [ -s /run/dnsmasq ] || kill $(cat /run/dnsmasq); while pgrep -x dnsmasq; do sleep 0.1; done; rm -f /run/leases")
	n.gate.Must(t, "dnsmasq", "--conf-file=/dev/null", "--port=0", "--interface=lan0", "--bind-interfaces", "--no-ping",
		"--pid-file=/run/dnsmasq", "--dhcp-leasefile=/run/leases", "--dhcp-authoritative", "--user=root",
		"--dhcp-range="+address+","+address+",2m", "--enable-ra", "--dhcp-range="+prefix+",ra-only,64,10m", "--ra-param=lan0,4,600")
}

// TestDhclient follows a lease that changes.
func TestDhclient(t *testing.T) {
	rig.Needs(t, "dhclient")
	n := newLAN(t, "address argument")
	install(t, n.home, "### dhclient", 0)
	for _, address := range []string{"203.0.113.50", "203.0.113.60"} {
		n.lease(t, address, "2001:db8:0:7::")
		n.home.Run(t, "sh", "-c", "kill $(cat /run/dhclient.pid)")
		n.home.Must(t, "dhclient", "-4", "-1", "-pf", "/run/dhclient.pid", "-lf", "/run/dhclient.leases", "lan0")
		n.expect(t, "A "+address)
	}
}

// TestDhcpcd follows a lease that changes, and a router's advertisement.
func TestDhcpcd(t *testing.T) {
	rig.Needs(t, "dhcpcd")
	n := newLAN(t, "address interface lan0")
	install(t, n.home, "### dhcpcd", 0)
	n.home.Must(t, "sh", "-c", "echo 'slaac hwaddr' >>/etc/dhcpcd.conf; mkdir -p /run/dhcpcd")
	n.home.Must(t, "sh", "-c", "ip link set lan0 down && ip link set lan0 address 02:00:00:00:00:07 && ip link set lan0 up")
	n.lease(t, "203.0.113.50", "2001:db8:0:7::")
	said := n.home.Start(t, rig.Path, "dhcpcd", "-B", "--noarp", "lan0")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("dhcpcd said:\n%s", said)
		}
	})
	n.expect(t, "A 203.0.113.50, AAAA 2001:db8:0:7:0:ff:fe00:7")
	n.lease(t, "203.0.113.60", "2001:db8:0:7::")
	// dhcpcd 9.4.1 loses the signal of --rebind now and then on a busy machine.
	rig.Wait(t, "dhcpcd takes --rebind", func() bool {
		n.home.Must(t, "dhcpcd", "--rebind", "lan0")
		time.Sleep(time.Second)
		return strings.Contains(said.String(), "received SIGHUP")
	})
	n.expect(t, "A 203.0.113.60, AAAA 2001:db8:0:7:0:ff:fe00:7")
}
