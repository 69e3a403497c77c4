// Package packages_test builds the packages and lives with them on a real
// Debian: they are installed, used as the manual says, upgraded, broken, removed
// and purged, on a machine that systemd-nspawn boots.
//
// Where that cannot run, the test fails in CI with the reason; at a desk it is
// skipped. apk is only looked at: Debian has no apk-tools.
package packages_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const top = "../.."

// needs ends a test that cannot run here.
func needs(t *testing.T) {
	t.Helper()
	missing := ""
	for _, program := range []string{"debootstrap", "systemd-nspawn", "nsenter", "lintian"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = err.Error()
		}
	}
	if os.Geteuid() != 0 {
		missing = "only the superuser can boot a machine"
	}
	if runtime.GOARCH != "amd64" {
		missing = "the packages' names are amd64's here"
	}
	switch {
	case missing != "" && os.Getenv("CI") != "":
		t.Fatal(missing)
	case missing != "":
		t.Skip(missing)
	}
}

// reproducible builds once more, from a copy of the source in another folder
// whose files have other times.
func reproducible(t *testing.T, folder, version string) {
	t.Helper()
	copied, again := t.TempDir(), t.TempDir()
	if out, err := exec.Command("sh", "-ec", `tar -C "$1" --exclude=./.git --exclude=./packaging/out -cf - . | tar -C "$2" -xmf -`,
		"sh", top, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	build(t, copied, again, version)
	sums, err := os.ReadFile(filepath.Join(folder, "SHA256SUMS"))
	must(t, err)
	others, err := os.ReadFile(filepath.Join(again, "SHA256SUMS"))
	must(t, err)
	if string(sums) != string(others) {
		t.Errorf("in another folder it is not the same:\n%s\n%s", sums, others)
	}
}

// build makes the packages of a version in folder.
func build(t *testing.T, source, folder, version string) {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command("./build", "-o", folder, version, "linux/amd64")
	cmd.Dir = source + "/packaging"
	cmd.Env = append(os.Environ(), "MAINTAINER=dnsgate maintainers <dnsgate@lists.debian.org>", "DNSGATE_SIGNING_KEY="+key)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("packaging/build: %v\n%s", err, out)
	}
	signed(t, folder, key)
}

// signed checks SHA256SUMS as somebody would who has the packages.
func signed(t *testing.T, folder, key string) {
	t.Helper()
	verify := exec.Command("sh", "-ec", `sha256sum --quiet --check SHA256SUMS
		echo "release $(cat "$1.pub")" >"$1.signers"
		ssh-keygen -q -Y verify -n file -I release -f "$1.signers" -s SHA256SUMS.sig <SHA256SUMS`, "sh", key)
	verify.Dir = folder
	if out, err := verify.CombinedOutput(); err != nil {
		t.Errorf("SHA256SUMS: %v\n%s", err, out)
	}
}

// TestPackages goes through the life of the packages, in order: each step leaves
// the machine to the next.
func TestPackages(t *testing.T) {
	needs(t)
	folder := t.TempDir()
	build(t, top, folder, "0.1")
	reproducible(t, folder, "0.1")
	for _, deb := range []string{"dnsgate_0.1_amd64.deb", "dnsgate-push_0.1_amd64.deb"} {
		out, err := exec.Command("lintian", "--no-cfg", "--allow-root", "--fail-on=error,warning", filepath.Join(folder, deb)).CombinedOutput()
		if err != nil {
			t.Errorf("lintian %s: %v\n%s", deb, err, out)
		}
	}
	apkHasTheSame(t, folder)
	build(t, top, folder, "0.2")
	m := boot(t, folder)
	m.do(t, `ip addr add 203.0.113.53/24 dev lo
		echo 127.0.0.1 localhost >/etc/hosts
		echo 203.0.113.53 gate.example.com >>/etc/hosts`)
	before := m.files(t)
	for _, step := range []struct {
		name string
		does func(*testing.T, *machine)
	}{
		{"install", install},
		{"first steps", firstSteps},
		{"manual", manual},
		{"reload", reload},
		{"upgrade", upgrade},
		{"stop", stop},
		{"runit and daemontools", supervised},
		{"remove and purge", func(t *testing.T, m *machine) { remove(t, m, before) }},
		{"by hand", byHand},
		{"rpm", rpm},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.does(t, m) }) {
			break
		}
	}
}

func install(t *testing.T, m *machine) {
	m.do(t, `apt-get install -y /packages/dnsgate_0.1_amd64.deb /packages/dnsgate-push_0.1_amd64.deb
		[ "$(dnsgate version)" = "dnsgate 0.1" ]
		[ "$(dnsgate-client version)" = "dnsgate 0.1" ]
		systemctl is-active dnsgate
		systemctl is-enabled dnsgate
		! systemctl is-enabled dnsgate.socket dnsgate-follow dnsgate-push.timer
		[ "$(stat -c '%U %a' /var/lib/dnsgate)" = 'dnsgate 700' ]
		[ "$(stat -c '%U %a' /etc/dnsgate/ssh_host_ed25519_key)" = 'dnsgate 600' ]
		[ "$(stat -c '%U %a' /etc/dnsgate/authorized_keys)" = 'root 644' ]
		[ -s /var/lib/dnsgate/dnsgate.db ]
		[ "$(ls /run/dnsgate)" = '' ]
		cat /usr/share/bash-completion/completions/dnsgate | bash -n
		for page in dnsgate.1 dnsgate.8 dnsgate.toml.5 dnsgate_authorized_keys.5 dnsgate_commands.7 dnsgate-push.1 dnsgate-push.conf.5; do
			zcat /usr/share/man/man${page##*.}/$page.gz | grep -q '^.SH NAME'
		done`)
	// The hooks say nothing before there is a push.conf.
	said := m.do(t, `for hook in /etc/ppp/ip-up.d/dnsgate /etc/ppp/ipv6-up.d/dnsgate /etc/network/if-up.d/dnsgate \
			/usr/lib/NetworkManager/dispatcher.d/90-dnsgate /usr/lib/networkd-dispatcher/routable.d/50-dnsgate; do
			PPP_IFACE=ppp0 PPP_LOCAL=203.0.113.7 IFACE=lo $hook eth0 up 9600 203.0.113.7 203.0.113.1
		done
		reason=BOUND new_ip_address=203.0.113.7 . /etc/dhcp/dhclient-exit-hooks.d/dnsgate`)
	if said != "" {
		t.Errorf("hooks without a push.conf say:\n%s", said)
	}
	// Landlock is there, and nspawn's filter of system calls forbids it.
	if log := m.do(t, "journalctl -u dnsgate --no-pager"); !strings.Contains(log, "Landlock is not allowed here") &&
		!strings.Contains(log, "confined to its files and ports") {
		t.Errorf("what became of Landlock?\n%s", log)
	}
	m.do(t, "dnsgate hostkey | sed -n 's/^ *\\(\\[gate.example.com\\].*\\)/\\1/p' >/etc/ssh/ssh_known_hosts; [ -s /etc/ssh/ssh_known_hosts ]")
}

// firstSteps does what the document says; then a name follows a machine.
func firstSteps(t *testing.T, m *machine) {
	text, err := os.ReadFile(top + "/docs/first-steps-debian.md")
	must(t, err)
	ran := 0
	for block := range strings.SplitSeq(string(text), "```sh\n") {
		script, _, found := strings.Cut(block, "```\n")
		if !found || strings.HasPrefix(script, "apt ") { // installed already
			continue
		}
		m.settle()
		m.do(t, script)
		ran++
	}
	if ran < 3 {
		t.Fatalf("the document has %d blocks", ran)
	}
	if said := m.do(t, "dnsq a laptop.example.com 127.0.0.1"); !strings.Contains(said, "answer: laptop.example.com 300 A 203.0.113.7") {
		t.Errorf("tinydns answers\n%s", said)
	}
}

// manual runs the examples of each page on a gateway as first-steps left it.
func manual(t *testing.T, m *machine) {
	pages, err := filepath.Glob(top + "/docs/man/*.md")
	must(t, err)
	m.do(t, "mkdir /tmp/etc; cp -p /etc/dnsgate/* /tmp/etc 2>/dev/null || :; sed -i '/^[^#]/d' /tmp/etc/authorized_keys")
	for _, page := range pages {
		m.do(t, `cp -p /tmp/etc/dnsgate.toml /tmp/etc/authorized_keys /etc/dnsgate
			systemctl reload dnsgate
			for host in $(dnsgate admin hosts | cut -d' ' -f1 | sort -u); do dnsgate admin offline ${host%.}; done`)
		m.do(t, "rm -f laptop*")
		switch { // what a page takes for granted
		case strings.Contains(page, "commands"):
			m.do(t, "ssh-keygen -q -t ed25519 -N '' -f laptop; dnsgate key add --acme laptop.example.com .lab.example.com <laptop.pub")
		case strings.Contains(page, "push.conf"):
			m.do(t, "dnsgate key add laptop.example.com </etc/dnsgate/id_ed25519.pub")
		}
		m.run(t, page)
	}
	m.do(t, `cp -p /tmp/etc/dnsgate.toml /tmp/etc/authorized_keys /etc/dnsgate
		ssh-keygen -q -t ed25519 -N '' -f own
		dnsgate key add --admin <own.pub
		systemctl reload dnsgate`)
	languages(t, m)
	frugal(t, m)
}

// frugal checks how much memory the client needs that has no gateway in it,
// while it watches.
func frugal(t *testing.T, m *machine) {
	t.Helper()
	m.do(t, `echo 203.0.113.77 >/run/address
		printf 'gateway gate.example.com\nfamily 4\naddress file /run/address\n' >/etc/dnsgate/push.conf
		dnsgate key add laptop.example.com </etc/dnsgate/id_ed25519.pub`)
	m.settle()
	m.do(t, "dnsgate-client push --watch >/dev/null 2>&1 </dev/null &")
	m.await(t, "dnsgate admin hosts | grep -q '^laptop.example.com. .* 203.0.113.77'")
	said := m.do(t, "sed -n 's/^VmHWM:[^0-9]*//p' /proc/$(pidof dnsgate-client)/status; kill $(pidof dnsgate-client)")
	used, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(said), " kB"))
	if err != nil || used > 12<<10 {
		t.Errorf("dnsgate-client takes %q, more than 12 MiB", said)
	}
	t.Logf("dnsgate-client takes %d KiB", used)
}

// flags are those of a line of help.
func flags(line string) (list []string) {
	for _, found := range flag.FindAllStringSubmatch(line, -1) {
		list = append(list, found[1])
	}
	return list
}

var flag = regexp.MustCompile(` ?\[(-[a-z0-9-]+)`)

// languages checks that dnsgate_commands(7) has each command that help has.
func languages(t *testing.T, m *machine) {
	t.Helper()
	page, err := os.ReadFile(top + "/docs/man/dnsgate_commands.7.md")
	must(t, err)
	for _, help := range []string{m.do(t, "dnsgate admin help"), m.do(t, "ssh -i laptop -p 2222 gate.example.com help 2>&1 || :")} {
		for line := range strings.Lines(help) {
			if !strings.HasPrefix(line, "  ") {
				continue
			}
			for _, word := range append(flags(line), strings.Fields(line)[0]) {
				if !strings.Contains(string(page), "**"+word) {
					t.Errorf("dnsgate_commands(7) does not have %s of %q", word, strings.TrimSpace(line))
				}
			}
		}
	}
}

// reload: a fault is told by the one who asks for the reload, and changes nothing.
func reload(t *testing.T, m *machine) {
	m.do(t, "cp -p /etc/dnsgate/dnsgate.toml good; echo 'tll = 5' >>/etc/dnsgate/dnsgate.toml; systemctl is-active dnsgate")
	m.fails(t, "systemctl reload dnsgate")
	m.await(t, `journalctl -u dnsgate --no-pager | grep -q '/etc/dnsgate/dnsgate.toml:[0-9]*: unknown key .*tll'`)
	m.do(t, "systemctl is-active dnsgate; ssh -i own -p 2222 gate.example.com status")

	// Nor is a gateway started over and over that cannot start.
	m.fails(t, "systemctl restart dnsgate")
	m.await(t, "systemctl is-failed dnsgate")
	m.do(t, `[ "$(systemctl show -P NRestarts dnsgate)" = 0 ]
		[ "$(systemctl show -P ExecMainStatus dnsgate)" = 78 ]
		cp -p good /etc/dnsgate/dnsgate.toml
		systemctl start dnsgate
		systemctl reload dnsgate`)
}

// upgrade: a command that runs is answered, and everything that was stored or
// written by the operator is still there.
func upgrade(t *testing.T, m *machine) {
	m.do(t, `ssh-keygen -q -t ed25519 -N '' -f slow
		dnsgate key add slow.example.com <slow.pub
		cp -p /etc/dnsgate/dnsgate.toml good
		cat >/etc/sv/tinydns/root/slowly <<'END'
#!/bin/sh
touch began
sleep 1
cat static dnsgate >data
tinydns-data && touch built
END
		chmod 755 /etc/sv/tinydns/root/slowly
		sed -i '/^\[tinydns\]/a rebuild = ["./slowly"]' /etc/dnsgate/dnsgate.toml
		sed -i 's/^rebuild = "builtin"/#/; s/^sources = .*/sources = []/' /etc/dnsgate/dnsgate.toml
		cp -p /etc/sv/tinydns/root/data /etc/sv/tinydns/root/static
		chown dnsgate /etc/sv/tinydns/root/data
		systemctl restart dnsgate
		cp -p /etc/dnsgate/ssh_host_ed25519_key /etc/dnsgate/authorized_keys /etc/dnsgate/dnsgate.toml .
		rm -f answer`)
	m.await(t, "cd /etc/sv/tinydns/root; [ -e built ] && rm began") // the build that comes with a start
	m.do(t, `(ssh -i slow -p 2222 gate.example.com update 203.0.113.99 >answer 2>&1 </dev/null; echo $? >>answer) >/dev/null 2>&1 &
		while [ ! -e /etc/sv/tinydns/root/began ]; do sleep 0.02; done
		dpkg -i /packages/dnsgate_0.2_amd64.deb /packages/dnsgate-push_0.2_amd64.deb
		while [ "$(wc -l <answer)" -lt 2 ]; do sleep 0.05; done`)
	if said := m.do(t, "cat answer"); said != "good 203.0.113.99 slow.example.com\n0\n" {
		t.Errorf("the update that ran during the upgrade was answered\n%s", said)
	}
	m.do(t, `systemctl is-active dnsgate
		dnsgate admin version | grep -qx 'dnsgate 0.2'
		dnsgate admin hosts | grep -q '^slow.example.com. .* 203.0.113.99'
		for file in ssh_host_ed25519_key authorized_keys dnsgate.toml; do cmp $file /etc/dnsgate/$file; done
		cp -p good /etc/dnsgate/dnsgate.toml
		cp -p /etc/sv/tinydns/root/static /etc/sv/tinydns/root/data
		systemctl restart dnsgate`)
}

// stop: what was stopped stays so, unless the operator enabled the socket.
func stop(t *testing.T, m *machine) {
	update := "ssh -i own -p 2222 gate.example.com version"
	m.do(t, "systemctl stop dnsgate; ! systemctl is-active dnsgate dnsgate.socket")
	m.fails(t, update)
	m.do(t, "! systemctl is-active dnsgate")
	m.do(t, "dpkg -i /packages/dnsgate_0.2_amd64.deb; ! systemctl is-active dnsgate") // nor does an upgrade start it
	m.do(t, "systemctl enable --now dnsgate.socket; ! systemctl is-active dnsgate; "+update+" | grep -qx 'dnsgate 0.2'; systemctl is-active dnsgate")
	m.do(t, "systemctl disable --now dnsgate.socket; systemctl restart dnsgate; "+update)
}

// supervised runs the gateway under runit and under daemontools.
func supervised(t *testing.T, m *machine) {
	m.do(t, "systemctl stop dnsgate")
	for _, way := range []struct{ name, start, reload, stop, up string }{
		{"runit", "runsv /tmp/runit", "sv hup /tmp/runit", "sv exit /tmp/runit", "sv status /tmp/runit"},
		{"daemontools", "svscan /tmp/service", "svc -h /tmp/service/dnsgate", "svc -dx /tmp/service/dnsgate /tmp/service/dnsgate/log", "svstat /tmp/service/dnsgate"},
	} {
		m.do(t, `cp -r /usr/share/dnsgate/`+way.name+` /tmp/`+way.name+`
			mkdir -p /tmp/service
			[ `+way.name+` = runit ] || ln -s /tmp/daemontools /tmp/service/dnsgate
			setsid `+way.start+` >/dev/null 2>&1 </dev/null &`)
		m.await(t, "ssh -i own -p 2222 gate.example.com version")
		m.do(t, way.up+"\n"+way.reload)
		m.do(t, `[ "$(sed -n 's/^Uid:.//p' /proc/$(pidof dnsgate)/status | cut -f1)" = "$(id -u dnsgate)" ]`)
		m.await(t, `grep -q 'configuration loaded' /tmp/`+way.name+`/log/main/current`)
		m.do(t, way.stop+"\nkill $(pidof svscan) 2>/dev/null || :")
		m.await(t, "! pidof dnsgate")
	}
}

// remove: the state stays; a purge takes it, asks nothing, and leaves nothing
// of ours but /etc/dnsgate and the account that owns files there.
func remove(t *testing.T, m *machine, before []string) {
	m.do(t, `systemctl start dnsgate
		cp -p /etc/dnsgate/ssh_host_ed25519_key .
		dpkg -r dnsgate </dev/null
		! pidof dnsgate
		[ -s /var/lib/dnsgate/dnsgate.db ]
		[ ! -e /usr/bin/dnsgate ]
		dpkg -i /packages/dnsgate_0.2_amd64.deb
		cmp ssh_host_ed25519_key /etc/dnsgate/ssh_host_ed25519_key
		dnsgate admin hosts | grep -q '^slow.example.com.'
		systemctl is-enabled dnsgate
		dpkg -P dnsgate dnsgate-push </dev/null
		! pidof dnsgate
		! systemctl cat dnsgate dnsgate.socket dnsgate-follow dnsgate-push.timer
		[ ! -e /run/dnsgate ]
		cmp ssh_host_ed25519_key /etc/dnsgate/ssh_host_ed25519_key`)
	if left := m.do(t, "find /etc \\( -path /etc/dnsgate -o -path /etc/sv/tinydns/root \\) -prune -o -name '*dnsgate*' -print"); left != "" {
		t.Errorf("in /etc are left\n%s", left)
	}
	for _, file := range m.files(t) {
		if _, there := slices.BinarySearch(before, file); !there {
			t.Errorf("%s is left", file)
		}
	}
}

// byHand does what README says to do without packages, with what is in the
// tar.gz.
func byHand(t *testing.T, m *machine) {
	m.do(t, `userdel dnsgate
		rm -rf /etc/dnsgate
		tar -xzf /packages/dnsgate-0.2-linux-amd64.tar.gz
		cd dnsgate-0.2-linux-amd64/usr
		cp bin/dnsgate /usr/bin/
		lib/dnsgate/setup
		cp lib/systemd/system/* /etc/systemd/system/
		systemctl daemon-reload
		systemctl enable --now dnsgate
		dnsgate admin version | grep -qx 'dnsgate 0.2'
		[ "$(stat -c '%U %a' /var/lib/dnsgate /etc/dnsgate/ssh_host_ed25519_key | tr '\n' ' ')" = 'dnsgate 700 dnsgate 600 ' ]
		systemctl disable --now dnsgate
		rm -rf /usr/bin/dnsgate /etc/systemd/system/dnsgate.* /var/lib/dnsgate`)
}

// rpm has the same life, as far as a machine without rpm's other packages goes.
func rpm(t *testing.T, m *machine) {
	m.do(t, `rm -rf /etc/dnsgate
		rpm -i --nodeps /packages/dnsgate-0.1-1.x86_64.rpm /packages/dnsgate-push-0.1-1.x86_64.rpm
		[ "$(dnsgate version)" = "dnsgate 0.1" ]
		systemctl start dnsgate
		dnsgate admin status
		cp -p /etc/dnsgate/ssh_host_ed25519_key .
		rpm -U --nodeps /packages/dnsgate-0.2-1.x86_64.rpm
		rpm -V --nodeps dnsgate
		dnsgate admin version | grep -qx 'dnsgate 0.2'
		cmp ssh_host_ed25519_key /etc/dnsgate/ssh_host_ed25519_key
		rpm -e dnsgate dnsgate-push
		! pidof dnsgate
		[ ! -e /usr/bin/dnsgate ]
		[ -s /var/lib/dnsgate/dnsgate.db ]`)
}

// apkHasTheSame compares apk, which nothing in Debian installs, with the deb.
func apkHasTheSame(t *testing.T, folder string) {
	t.Helper()
	list := func(script string, file string) []string {
		cmd := exec.Command("sh", "-ec", script, "sh", filepath.Join(folder, file))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", file, err, out)
		}
		lines := strings.Fields(string(out))
		slices.Sort(lines)
		return lines
	}
	for _, name := range []string{"dnsgate", "dnsgate-push"} {
		deb := list(`dpkg --fsys-tarfile "$1" | tar -t | sed 's|^\./||' | grep -v -e '/$' -e lintian -e changelog.gz -e zsh`, fmt.Sprintf("%s_0.1_amd64.deb", name))
		apk := list(`tar -ztf "$1" --ignore-zeros 2>/dev/null | grep -v -e '/$' -e '^\.' -e zsh`, fmt.Sprintf("%s_0.1_x86_64.apk", name))
		if !slices.Equal(deb, apk) {
			t.Errorf("deb has %q\napk has %q", deb, apk)
		}
		info := list(`tar -zxOf "$1" --ignore-zeros .PKGINFO 2>/dev/null`, fmt.Sprintf("%s_0.1_x86_64.apk", name))
		if !slices.Contains(info, name) || !slices.Contains(info, "x86_64") {
			t.Errorf("%s.apk says of itself %q", name, info)
		}
	}
}
