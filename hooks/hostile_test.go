package hooks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// hostile are values that must stay one value: none may become an option, a
// second word, a command or a file's name. %s is what stands there otherwise.
var hostile = []string{
	"--offline", "-4", "--", "-- --offline", "%s --offline", "%s\n--offline", "--offline\n%s", "%s\t-q", "--config=/run/x", "--peer",
	"$(touch /run/owned)", "`touch /run/owned`", "%s;touch /run/owned", "%s'; touch /run/owned; '", `%s"; touch /run/owned; "`, "*", "/*/*", "\\", "\x1b[2J\xff",
}

// TestHostileEnvironment runs every hook as its caller does, with each hostile
// value for each of the words that come from outside, alone and all at once. What
// is good among them is what the gateway has already, so that nothing may change.
func TestHostileEnvironment(t *testing.T) {
	hooks := []struct {
		call  string // by busybox's shell
		words string // from outside, with what they are otherwise
	}{
		{`exec ./ppp/ip-up eth0 tty 1 203.0.113.7 198.51.100.1 ""`, "PPP_IFACE=eth0 PPP_LOCAL=203.0.113.7"},
		{`exec ./ppp/ip-up "$a" tty 1 "$b" 198.51.100.1 ""`, "a=eth0 b=203.0.113.7"},
		{`exec ./ppp/ipv6-up "$a" tty 1 fe80::1 fe80::2 ""`, "a=wwan0"},
		{`exec ./ppp/ip-down "$a" tty 1 203.0.113.7 198.51.100.1 ""`, "a=wwan0"},
		{`. ./dhclient/exit-hook`, "reason=BOUND interface=eth0 new_ip_address=203.0.113.7"},
		{`. ./dhclient/exit-hook`, "reason=BOUND6 interface=eth0 new_ip6_address=2001:db8::7"},
		{`. ./dhcpcd/exit-hook`, "reason=BOUND interface=eth0 new_ip_address=203.0.113.7"},
		{`. ./dhcpcd/exit-hook`, "reason=BOUND6 interface=eth0 new_dhcp6_ia_na1_ia_addr1=2001:db8::7"},
		{`. ./dhcpcd/exit-hook`, "reason=DELEGATED6 interface=eth0 new_delegated_dhcp6_prefix=2001:db8::/64"},
		{`. ./dhcpcd/exit-hook`, "reason=ROUTERADVERT interface=eth0 nd1_addr1=2001:db8::7"},
		{`exec ./networkmanager/dispatcher "$a" "$b"`, "a=eth0 b=up IP4_ADDRESS_0=203.0.113.7/24 IP6_ADDRESS_0=2001:db8::7/64"},
		{`exec ./networkd-dispatcher/routable`, "IFACE=eth0 IP_ADDRS=203.0.113.7/24 IP6_ADDRS=2001:db8::7"},
		{`exec ./ifupdown/if-up`, "IFACE=eth0 ADDRFAM=inet METHOD=static IF_ADDRESS=203.0.113.7/24"},
		{`. ./openwrt/hotplug`, "ACTION=ifup INTERFACE=wan DEVICE=eth0 four=203.0.113.7 six=2001:db8::7"},
		{`send_update() { . ./openwrt/update_dnsgate.sh; }; write_log() { :; }; DATFILE=/run/dat ERRFILE=/run/err; send_update`, "domain=home.example.test __IP=203.0.113.7"},
		{`exec ./acme/certbot-auth`, "CERTBOT_DOMAIN=www.example.org CERTBOT_VALIDATION=x"},
		{`exec ./acme/certbot-cleanup`, "CERTBOT_DOMAIN=www.example.org CERTBOT_VALIDATION=x"},
		{`exec ./acme/dehydrated deploy_challenge "$a" token "$b"`, "a=www.example.org b=x"},
		{`exec ./acme/dehydrated clean_challenge "$a" token "$b"`, "a=www.example.org b=x"},
		{`exec ./acme/lego present "$a" "$b"`, "a=_acme-challenge.www.example.org. b=x"},
		{`exec ./acme/lego cleanup "$a" "$b"`, "a=_acme-challenge.www.example.org. b=x"},
		{`. ./acme/dns_dnsgate.sh; dns_dnsgate_add "$a" "$b"`, "a=_acme-challenge.www.example.org b=x"},
		{`. ./acme/dns_dnsgate.sh; dns_dnsgate_rm "$a" "$b"`, "a=_acme-challenge.www.example.org b=x"},
	}
	tried := ""
	for _, hook := range hooks {
		tried += hook.call + " "
	}
	files, err := filepath.Glob("*/*")
	rig.Must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(text), `"$`) && !strings.Contains(tried, "./"+file) {
			t.Errorf("%s takes words from outside, and is not tried", file)
		}
	}

	n := newNetwork(t, "address argument", "retry 0")
	openwrt(t, n.home)
	n.home.Write(t, "/usr/lib/functions/network.sh", "network_get_ipaddr() { export \"$1=$four\"; }\nnetwork_get_ipaddr6() { export \"$1=$six\"; }\n", 0o644)
	n.push(t, "203.0.113.7", "2001:db8::7").Expect(t, 0)
	before := n.ssh(t, "history")
	run := func(call string, env []string) {
		t.Helper()
		r := n.home.RunIn(t, append(env, rig.Path...), "busybox", "sh", "-c", "cd "+here(t, ".")+" && "+call)
		for line := range strings.Lines(r.Stderr) {
			if !strings.Contains(line, "dnsgate-push: ") {
				t.Errorf("%s with %q says %q", call, env, line)
			}
		}
		if n.home.Run(t, "rm", "/run/owned").Status == 0 {
			t.Errorf("%s with %q ran what it was given", call, env)
		}
	}
	for _, hook := range hooks {
		words := strings.Fields(hook.words)
		for _, value := range hostile {
			var all []string
			for i, word := range words {
				name, usual, _ := strings.Cut(word, "=")
				bad := name + "=" + strings.ReplaceAll(value, "%s", usual)
				all = append(all, bad)
				if strings.Contains(value, "--offline") {
					alone := append([]string{}, words...)
					alone[i] = bad
					run(hook.call, alone)
				}
			}
			run(hook.call, all)
		}
	}
	n.home.Must(t, "sh", "-c", "while pgrep -f '[d]nsgate-push' >/dev/null; do sleep 1; done")
	if after := n.ssh(t, "history"); after != before {
		t.Errorf("history:\n%s\nbefore:\n%s", after, before)
	}
	if got := n.records(t); got != "A 203.0.113.7, AAAA 2001:db8::7" {
		t.Errorf("the records are: %s", got)
	}
}
