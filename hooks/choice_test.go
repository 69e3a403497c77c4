package hooks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// here is the absolute path of a file of this folder.
func here(t *testing.T, file string) string {
	t.Helper()
	abs, err := filepath.Abs(file)
	must(t, err)
	return abs
}

// pushOn runs c's dnsgate-push on m, with folder before all others in PATH.
func (c *client) pushOn(t *testing.T, m *machine, folder string, args ...string) result {
	t.Helper()
	all := append(append(append([]string{}, c.shell...), here(t, "dnsgate-push"), "--config", c.config), args...)
	return m.runIn(t, []string{"PATH=" + folder + ":/usr/sbin:/usr/bin:/sbin:/bin"}, all...)
}

// tools lists the programs that show addresses: each folder has one that comes
// before the system's ip.
func tools(t *testing.T) map[string]string {
	t.Helper()
	needs(t, "ip", "busybox", "ifconfig")
	dir := t.TempDir()
	folders := map[string]string{"iproute2": "/usr/sbin"}
	for _, name := range []string{"busybox ip", "ifconfig", "busybox ifconfig"} {
		folder := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		must(t, os.Mkdir(folder, 0o755))
		folders[name] = folder
		busybox, program, _ := strings.Cut(name, " ")
		if program != "ip" {
			write(t, filepath.Join(folder, "ip"), "#!/bin/sh\nexit 127\n", 0o755)
		}
		if busybox == "busybox" {
			must(t, os.Symlink("/usr/bin/busybox", filepath.Join(folder, program)))
		}
	}
	return folders
}

// TestInterfaceChoice puts real addresses on an interface and asks which one
// is pushed.
func TestInterfaceChoice(t *testing.T) {
	t.Parallel()
	folders := tools(t)
	m, other := newMachine(t), newMachine(t)
	link(t, m, other, "eth0")
	m.must(t, "sh", "-c", "echo 2 >/proc/sys/net/ipv6/conf/eth0/use_tempaddr")

	steps := []struct {
		do     string // ip(8) arguments, or "" for nothing
		conf   string
		want   string // sent
		status int
		only   string // the tools that can tell; "" is all
	}{
		{"", "", "", 75, ""},
		{"addr add 192.168.7.1/24 dev eth0", "", "", 75, ""},
		{"", "private yes", "192.168.7.1", 75, ""},
		{"addr add 203.0.113.7/24 dev eth0", "", "203.0.113.7", 75, "iproute2, busybox ip"}, // ifconfig shows one
		{"addr add 203.0.113.8/24 dev eth0", "", "203.0.113.7", 75, "iproute2, busybox ip"},
		{"addr del 192.168.7.1/24 dev eth0", "", "203.0.113.7", 75, ""},
		{"addr add fd00::7/64 dev eth0", "", "203.0.113.7", 75, ""},
		{"", "private yes", "203.0.113.7 fd00::7", 75, ""},
		{"addr add 2001:db8:0:1::7/64 dev eth0 preferred_lft 0", "family 6", "2001:db8:0:1::7", 75, ""},
		{"addr add 2001:db8:0:2::7/64 dev eth0", "family 6", "2001:db8:0:2::7", 75, "iproute2, busybox ip"},
		{"addr del 2001:db8:0:1::7/64 dev eth0", "family 6\nprefix 60", "2001:db8:0:0:0:0:0:0/60", 75, ""},
		{"addr del 2001:db8:0:2::7/64 dev eth0", "family 6", "", 75, ""},
		{"addr add 2001:db8:0:3::7/64 dev eth0 valid_lft 7200 preferred_lft 3600 mngtmpaddr", "family 6", "2001:db8:0:3::7", 75, "iproute2, busybox ip"},
		{"", "family 6\nipv6 temporary", "2001:db8:0:3:", 75, "iproute2, busybox ip"},
		{"link set eth0 down", "family 6", "", 75, ""},
		{"", "address interface eth9", "", 75, ""},
	}
	for _, step := range steps {
		if step.do != "" {
			m.must(t, append([]string{"ip"}, strings.Fields(step.do)...)...)
		}
		for tool, folder := range folders {
			if step.only != "" && !strings.Contains(", "+step.only+",", ", "+tool+",") {
				continue
			}
			conf := step.conf
			if !strings.Contains(conf, "address") {
				conf += "\naddress interface eth0"
			}
			r := newClient(t, "dash", conf).pushOn(t, m, folder, "-v")
			got := r.sent()
			if strings.HasSuffix(step.want, ":") {
				if got == "2001:db8:0:3::7" {
					t.Errorf("%s: %q: the stable address was chosen", tool, conf)
				}
				got = got[:min(len(got), len(step.want))]
			}
			if got != step.want || r.status != step.status {
				t.Errorf("%s: after %q, with %q: status %d, sent %q, want %q\n%s\n%s", tool, step.do, conf,
					r.status, got, step.want, r.stderr, m.run(t, "ip", "-o", "addr", "show", "dev", "eth0").stdout)
			}
		}
	}
}

// TestTentative checks that an address is not sent before the kernel knows
// that nobody else has it.
func TestTentative(t *testing.T) {
	t.Parallel()
	m, other := newMachine(t), newMachine(t)
	link(t, m, other, "eth0")
	m.must(t, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad; echo 1 >/proc/sys/net/ipv6/conf/all/accept_dad")
	m.must(t, "sh", "-c", "echo 100 >/proc/sys/net/ipv6/conf/eth0/dad_transmits")
	m.must(t, "ip", "addr", "add", "2001:db8::7/64", "dev", "eth0")
	c := newClient(t, "dash", "family 6", "address interface eth0")
	if r := c.pushOn(t, m, "/usr/sbin", "-v"); r.sent() != "" || r.status != 75 {
		t.Errorf("status %d, sent %q\n%s", r.status, r.sent(), r.stderr)
	}
}

// TestRecordedInterfaces reads what systems print that this machine cannot be.
func TestRecordedInterfaces(t *testing.T) {
	root := here(t, "testdata/ifconfig")
	tests := []struct{ recorded, conf, want string }{
		{"macos", "", "203.0.113.7 2001:db8:1:2:14f0:1c2d:aaaa:1111"},
		{"macos", "ipv6 temporary", "203.0.113.7 2001:db8:1:2:9d1e:77aa:bbbb:2222"},
		{"freebsd", "", "203.0.113.7 2001:db8:1:2:211:22ff:fe33:4455"},
	}
	for _, test := range tests {
		t.Run(strings.TrimSpace(test.recorded+" "+strings.TrimPrefix(test.conf, "ipv6 ")), func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "ip"), "#!/bin/sh\nexit 127\n", 0o755)
			write(t, filepath.Join(dir, "ifconfig"), "#!/bin/sh\nexec cat "+filepath.Join(root, test.recorded)+"\n", 0o755)
			c := newClient(t, "dash", "address interface en0", test.conf)
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			if r := c.push(t, "-v"); r.sent() != test.want {
				t.Errorf("sent %q, want %q\n%s", r.sent(), test.want, r.stderr)
			}
		})
	}
}
