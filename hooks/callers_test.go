package hooks_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// event is what a caller's own caller does: a command with just this
// environment.
type event struct {
	env  []string
	args []string
}

// TestCallers runs each hook as its caller does, twice: first without network,
// as at a boot, where it has to return at once, say nothing and go on in the
// background; then it reaches the gateway when there is a network.
func TestCallers(t *testing.T) {
	const pppd = "DEVICE= IFNAME=eth0 IPLOCAL=203.0.113.20 IPREMOTE=198.51.100.1 SPEED=115200 ORIG_UID=0 PPPLOGNAME=root"
	tests := map[string]struct {
		install string // heading of README.md
		block   int
		needs   []string
		conf    []string
		before  []string // pushed before
		event   event
		want    string
	}{
		"pppd ip-up with its address": {
			install: "### pppd", needs: []string{"pppd"}, conf: []string{"address argument"},
			event: event{strings.Fields(pppd), []string{"/etc/ppp/ip-up", "eth0", "/dev/pts/9", "115200", "203.0.113.20", "198.51.100.1", ""}},
			want:  "A 203.0.113.20",
		},
		"pppd ip-up with what the gateway sees": {
			install: "### pppd", needs: []string{"pppd"},
			event: event{strings.Fields(pppd), []string{"/etc/ppp/ip-up", "eth0", "/dev/pts/9", "115200", "203.0.113.20", "198.51.100.1", "office"}},
			want:  "A " + home4,
		},
		"pppd ipv6-up": {
			install: "### pppd", needs: []string{"pppd"}, conf: []string{"address argument"},
			event: event{strings.Fields("DEVICE= IFNAME=eth0 LLLOCAL=fe80::1 LLREMOTE=fe80::2 SPEED=0 ORIG_UID=0 PPPLOGNAME="),
				[]string{"/etc/ppp/ipv6-up", "eth0", "/dev/pts/9", "0", "fe80::1", "fe80::2", ""}},
			want: "AAAA " + home6,
		},
		"pppd ip-down": {
			install: "### pppd", block: 1, needs: []string{"pppd"}, before: []string{"203.0.113.20", "2001:db8::20"},
			event: event{strings.Fields(pppd), []string{"/etc/ppp/ip-down", "eth0", "/dev/pts/9", "115200", "203.0.113.20", "198.51.100.1", ""}},
			want:  "AAAA 2001:db8::20",
		},
		"NetworkManager up": {
			install: "### NetworkManager", conf: []string{"address argument"},
			event: event{[]string{"CONNECTION_FILENAME=/x", "CONNECTION_ID=Wired connection 1", "DEVICE_IFACE=eth0", "DEVICE_IP_IFACE=eth0", "IP4_NUM_ADDRESSES=1",
				"IP4_ADDRESS_0=203.0.113.21/24 203.0.113.1", "IP4_GATEWAY=203.0.113.1", "IP6_NUM_ADDRESSES=1", "IP6_ADDRESS_0=2001:db8::21/64 fe80::1",
				"NM_DISPATCHER_ACTION=up", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"},
				[]string{"/etc/NetworkManager/dispatcher.d/90-dnsgate", "eth0", "up"}},
			want: "A 203.0.113.21, AAAA 2001:db8::21",
		},
		"NetworkManager dhcp4-change": {
			install: "### NetworkManager", conf: []string{"address interface eth0", "family 4"},
			event: event{[]string{"DHCP4_IP_ADDRESS=203.0.113.21", "IP4_ADDRESS_0=203.0.113.21/24 0.0.0.0"},
				[]string{"/etc/NetworkManager/dispatcher.d/90-dnsgate", "eth0", "dhcp4-change"}},
			want: "A " + home4,
		},
		"NetworkManager connectivity-change": {
			install: "### NetworkManager",
			event: event{[]string{"CONNECTIVITY_STATE=FULL", "NM_DISPATCHER_ACTION=connectivity-change"},
				[]string{"/etc/NetworkManager/dispatcher.d/90-dnsgate", "", "connectivity-change"}},
			want: "A " + home4 + ", AAAA " + home6,
		},
		"OpenWrt hotplug": {
			install: "### OpenWrt", conf: []string{"address interface eth0", "family 4"},
			event: event{strings.Fields("ACTION=ifup INTERFACE=wan DEVICE=eth0 HOTPLUG_TYPE=iface PATH=/usr/sbin:/usr/bin:/sbin:/bin"),
				[]string{"busybox", "sh", "-c", `for script in /etc/hotplug.d/iface/*; do ( [ -f "$script" ] && . "$script" ); done`}},
			want: "A " + home4,
		},
		"ifupdown": {
			install: "### ifupdown", conf: []string{"address argument"},
			event: event{strings.Fields("IFACE=eth0 LOGICAL=eth0 ADDRFAM=inet6 METHOD=static IF_ADDRESS=2001:db8::22/64 MODE=start PHASE=post-up VERBOSITY=0 PATH=/sbin:/bin"),
				[]string{"run-parts", "--exit-on-error", "/etc/network/if-up.d"}},
			want: "AAAA 2001:db8::22",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rig.Needs(t, test.needs...)
			n := newNetwork(t, test.conf...)
			openwrt(t, n.home)
			if test.before != nil {
				n.push(t, append([]string{"--force"}, test.before...)...).Expect(t, 0)
			}
			install(t, n.home, test.install, test.block)
			n.home.Must(t, "ip", "link", "set", "eth0", "down")
			r := n.home.RunIn(t, test.event.env, test.event.args...)
			if r.Status != 0 || r.Stdout != "" || r.Stderr != "" {
				t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
			}
			if n.home.Run(t, "pgrep", "-f", "/usr/(local/)?bin/dnsgate-push").Status != 0 {
				t.Error("nothing goes on in the background")
			}
			n.home.Must(t, "ip", "link", "set", "eth0", "up")
			n.expect(t, test.want)
		})
	}
}

// openwrt makes the folders that OpenWrt has, and the script where it wants it.
func openwrt(t *testing.T, m *rig.Machine) {
	t.Helper()
	m.Must(t, "mkdir", "-p", "/etc/hotplug.d/iface", "/usr/lib/ddns")
	m.Must(t, "cp", here(t, "dnsgate-push"), "/usr/bin/dnsgate-push")
}

// TestUninterested runs hooks for events that are none of ours: nothing is to
// happen.
func TestUninterested(t *testing.T) {
	n := newNetwork(t)
	openwrt(t, n.home)
	for _, heading := range []string{"### NetworkManager", "### networkd-dispatcher", "### ifupdown", "### OpenWrt", "### dhclient", "### dhcpcd"} {
		install(t, n.home, heading, 0)
	}
	const nm, ifup = "/etc/NetworkManager/dispatcher.d/90-dnsgate", "/etc/network/if-up.d/dnsgate"
	for _, e := range []event{
		{nil, []string{nm, "eth0", "down"}},
		{nil, []string{nm, "eth0", "pre-up"}},
		{nil, []string{nm, "lo", "up"}},
		{nil, []string{nm, "", "hostname"}},
		{[]string{"CONNECTIVITY_STATE=PORTAL"}, []string{nm, "", "connectivity-change"}},
		{strings.Fields("IFACE=--all ADDRFAM=meta METHOD=none MODE=start PHASE=post-up"), []string{ifup}},
		{strings.Fields("IFACE=lo ADDRFAM=inet METHOD=loopback MODE=start PHASE=post-up"), []string{ifup}},
		{strings.Fields("IFACE=lo ADDR=127.0.0.1"), []string{"/etc/networkd-dispatcher/routable.d/50-dnsgate"}},
		{strings.Fields("ACTION=ifdown INTERFACE=wan DEVICE=eth0"), []string{"busybox", "sh", "-c", "( . /etc/hotplug.d/iface/95-dnsgate )"}},
		{strings.Fields("ACTION=ifup INTERFACE=loopback DEVICE=lo"), []string{"busybox", "sh", "-c", "( . /etc/hotplug.d/iface/95-dnsgate )"}},
		{strings.Fields("reason=EXPIRE interface=eth0"), []string{"sh", "-c", ". /etc/dhcp/dhclient-exit-hooks.d/dnsgate"}},
		{strings.Fields("reason=BOUND interface=eth0 new_ip_address="), []string{"sh", "-c", ". /etc/dhcp/dhclient-exit-hooks.d/dnsgate"}},
		{strings.Fields("reason=STOP interface=eth0"), []string{"sh", "-c", ". /etc/dhcpcd.exit-hook"}},
	} {
		r := n.home.RunIn(t, append(e.env, "PATH=/usr/bin:/bin"), e.args...)
		if r.Status != 0 || r.Stdout != "" || r.Stderr != "" {
			t.Errorf("%q: status %d: %s%s", e, r.Status, r.Stdout, r.Stderr)
		}
	}
	if log := n.home.Log(t, "dnsgate-push"); log != "" || n.home.Run(t, "ls", "/var/lib/dnsgate-push").Status == 0 {
		t.Errorf("something was pushed: %s", log)
	}
}

// TestSourced sources the hooks that their callers source, and checks that they
// leave the shell as it was.
func TestSourced(t *testing.T) {
	n := newNetwork(t, "address argument")
	install(t, n.home, "### dhclient", 0)
	install(t, n.home, "### dhcpcd", 0)
	const around = `set -eu
set >/tmp/before.$$
. "$1"
set >/tmp/after.$$
diff /tmp/before.$$ /tmp/after.$$ | grep '^[<>]' | grep -v "^[<>] _=" || :
rm /tmp/before.$$ /tmp/after.$$
echo and goes on
`
	for _, shell := range [][]string{{"dash"}, {"busybox", "sh"}} {
		for hook, env := range map[string]string{
			"/etc/dhcp/dhclient-exit-hooks.d/dnsgate": "reason=BOUND interface=eth0 new_ip_address=203.0.113.30",
			"/etc/dhcpcd.exit-hook":                   "reason=DELEGATED6 interface=eth0 new_delegated_dhcp6_prefix=2001:db8:7:8::/64",
		} {
			args := append(append([]string{}, shell...), "-c", around, "sh", hook)
			r := n.home.RunIn(t, append(strings.Fields(env), "PATH=/usr/bin:/bin"), args...)
			if r.Status != 0 || r.Stdout != "and goes on\n" || r.Stderr != "" {
				t.Errorf("%s: status %d: the shell then says %q\n%s", hook, r.Status, r.Stdout, r.Stderr)
			}
		}
	}
	n.expect(t, "A 203.0.113.30")
	n.push(t, "2001:db8::99").Expect(t, 0)
	r := n.home.RunIn(t, strings.Fields("reason=DELEGATED6 interface=eth0 new_delegated_dhcp6_prefix=2001:db8:7:9::/64"), "sh", "-c", ". /etc/dhcpcd.exit-hook")
	if r.Status != 0 {
		t.Errorf("status %d: %s", r.Status, r.Stderr)
	}
	n.expect(t, "A 203.0.113.30, AAAA 2001:db8:7:9::99")
}

// TestNetworkdDispatcher lets the real networkd-dispatcher run the hook, with
// what networkctl printed on a machine that has systemd-networkd.
func TestNetworkdDispatcher(t *testing.T) {
	rig.Needs(t, "networkd-dispatcher", "python3")
	n := newNetwork(t, "address argument")
	install(t, n.home, "### networkd-dispatcher", 0)
	n.home.Write(t, "/usr/bin/networkctl", "#!/bin/sh\nexec cat "+here(t, "testdata/networkctl")+"/$1\n", 0o755)
	n.home.Must(t, "python3", "-c", `
import importlib.machinery, importlib.util
loader = importlib.machinery.SourceFileLoader("dispatcher", "/usr/bin/networkd-dispatcher")
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("dispatcher", loader))
loader.exec_module(module)
module.Dispatcher("/etc/networkd-dispatcher").handle_state("eth0", operational_state="routable", force=True)
`)
	n.expect(t, "A 203.0.113.23, AAAA 2001:db8::23")
}

// TestIfup lets the real ifup(8) configure an interface.
func TestIfup(t *testing.T) {
	rig.Needs(t, "ifup")
	n := newNetwork(t, "address interface eth0", "family 4")
	install(t, n.home, "### ifupdown", 0)
	n.home.Must(t, "ip", "addr", "flush", "dev", "eth0")
	n.home.Write(t, "/etc/network/interfaces", "iface eth0 inet static\n\taddress 192.0.2.40/24\n", 0o644)
	n.home.Must(t, "ifup", "--state-dir=/run", "eth0")
	n.expect(t, "A 192.0.2.40")
}

// TestCron lets the real cron run its table: at boot, and then each minute
// instead of each fifth.
func TestCron(t *testing.T) {
	rig.Needs(t, "cron")
	n := newNetwork(t, "address file /root/address", "fresh 0")
	n.home.Write(t, "/root/address", "203.0.113.41\n", 0o644)
	install(t, n.home, "### cron", 0)
	n.home.Must(t, "sed", "-i", `s#^\*/5#*  #`, "/etc/cron.d/dnsgate")
	n.home.Must(t, "sh", "-c", "rm -f /etc/cron.d/e2* /etc/cron.d/sysstat /etc/crontab")
	n.home.Start(t, rig.Path, "cron", "-f")
	n.expect(t, "A 203.0.113.41")
	if testing.Short() {
		t.Skip("the next minute is far away")
	}
	n.home.Write(t, "/root/address", "203.0.113.42\n", 0o644)
	n.expect(t, "A 203.0.113.42")
	if log := n.home.Log(t, "discarding output"); log != "" {
		t.Errorf("cron had something to mail: %s", log)
	}
}

// TestDDNSScripts sources OpenWrt's update script as ddns-scripts does.
func TestDDNSScripts(t *testing.T) {
	n := newNetwork(t)
	openwrt(t, n.home)
	install(t, n.home, "### OpenWrt", 1)
	const updater = `write_log() { echo "$1 $2"; }
send_update() { local __IP="$1"; . /usr/lib/ddns/update_dnsgate.sh; }
domain=home.example.test DATFILE=/run/dat ERRFILE=/run/err
send_update "$1"; echo "returned $?"`
	for address, want := range map[string]string{
		"203.0.113.43": "7 dnsgate-push: good 203.0.113.43 home.example.test\nreturned 0\n",
		"nonsense":     "4 dnsgate-push: dnsgate-push: \"nonsense\" is not an address\nreturned 1\n",
		"--offline":    "4 dnsgate-push: dnsgate-push: \"--offline\" is not an address\nreturned 1\n",
		"":             "4 dnsgate-push: dnsgate-push: an address is empty\nreturned 1\n",
	} {
		if got := n.home.Must(t, "busybox", "sh", "-c", updater, "sh", address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
	n.expect(t, "A 203.0.113.43")
}

// TestUnits has systemd read the units, and count what the service could do.
func TestUnits(t *testing.T) {
	rig.Needs(t, "systemd-analyze")
	m := rig.NewMachine(t, "home")
	install(t, m, "## Install", 0)
	m.Must(t, "sh", "-c", "cp "+here(t, "systemd")+"/* /etc/systemd/system/ && mkdir -p /run/user/0 /root/.config/dnsgate")
	for _, args := range [][]string{
		{"verify", "--man=no", "/etc/systemd/system/dnsgate-push.service", "/etc/systemd/system/dnsgate-push.timer"},
		{"--user", "verify", "/etc/systemd/system/dnsgate-push-file.path", "/etc/systemd/system/dnsgate-push-file.service"},
		{"security", "--offline=true", "--threshold=25", "/etc/systemd/system/dnsgate-push.service"},
	} {
		r := m.RunIn(t, append(slices.Clone(rig.Path), "XDG_RUNTIME_DIR=/run/user/0"), append([]string{"systemd-analyze"}, args...)...)
		if r.Status != 0 || r.Stderr != "" {
			t.Errorf("systemd-analyze %q: status %d\n%s%s", args, r.Status, r.Stdout, r.Stderr)
		}
	}
}

// TestPropertyList checks the file for launchd.
func TestPropertyList(t *testing.T) {
	rig.Needs(t, "python3")
	out, err := exec.Command("python3", "-c", `
import plistlib
p = plistlib.load(open("launchd/dnsgate.push.plist", "rb"))
assert p["ProgramArguments"][0] == "/usr/local/bin/dnsgate-push" and p["StartInterval"] == 300, p
`).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
