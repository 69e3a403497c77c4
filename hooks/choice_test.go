package hooks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// here is the absolute path of a file of this folder.
func here(t *testing.T, file string) string {
	t.Helper()
	abs, err := filepath.Abs(file)
	rig.Must(t, err)
	return abs
}

// pushOn runs c's dnsgate-push on m, with folder before all others in PATH.
func pushOn(t *testing.T, c *rig.Client, m *rig.Machine, folder string, args ...string) rig.Result {
	t.Helper()
	return m.RunIn(t, []string{"PATH=" + folder + ":/usr/sbin:/usr/bin:/sbin:/bin"}, c.Words(args...)...)
}

// tools lists the programs that show addresses: each folder has one that comes
// before the system's ip.
func tools(t *testing.T) map[string]string {
	t.Helper()
	rig.Needs(t, "ip", "busybox", "ifconfig")
	dir := t.TempDir()
	folders := map[string]string{"iproute2": "/usr/sbin"}
	for _, name := range []string{"busybox ip", "ifconfig", "busybox ifconfig"} {
		folder := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		rig.Must(t, os.Mkdir(folder, 0o755))
		folders[name] = folder
		busybox, program, _ := strings.Cut(name, " ")
		if program != "ip" {
			rig.Write(t, filepath.Join(folder, "ip"), "#!/bin/sh\nexit 127\n", 0o755)
		}
		if busybox == "busybox" {
			rig.Must(t, os.Symlink("/usr/bin/busybox", filepath.Join(folder, program)))
		}
	}
	return folders
}

// TestInterfaceChoice puts real addresses on an interface and asks which one
// is pushed.
func TestInterfaceChoice(t *testing.T) {
	t.Parallel()
	folders := tools(t)
	m, other := rig.NewMachine(t, "home"), rig.NewMachine(t, "home")
	rig.Link(t, m, other, "eth0")
	m.Must(t, "sh", "-c", "echo 2 >/proc/sys/net/ipv6/conf/eth0/use_tempaddr")

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
			m.Must(t, append([]string{"ip"}, strings.Fields(step.do)...)...)
		}
		for tool, folder := range folders {
			if step.only != "" && !strings.Contains(", "+step.only+",", ", "+tool+",") {
				continue
			}
			conf := step.conf
			if !strings.Contains(conf, "address") {
				conf += "\naddress interface eth0"
			}
			r := pushOn(t, newClient(t, "dash", conf), m, folder, "-v")
			got := sent(r)
			if strings.HasSuffix(step.want, ":") {
				if got == "2001:db8:0:3::7" {
					t.Errorf("%s: %q: the stable address was chosen", tool, conf)
				}
				got = got[:min(len(got), len(step.want))]
			}
			if got != step.want || r.Status != step.status {
				t.Errorf("%s: after %q, with %q: status %d, sent %q, want %q\n%s\n%s", tool, step.do, conf,
					r.Status, got, step.want, r.Stderr, m.Run(t, "ip", "-o", "addr", "show", "dev", "eth0").Stdout)
			}
		}
	}
}

// TestTentative checks that an address is not sent before the kernel knows
// that nobody else has it.
func TestTentative(t *testing.T) {
	t.Parallel()
	m, other := rig.NewMachine(t, "home"), rig.NewMachine(t, "home")
	rig.Link(t, m, other, "eth0")
	m.Must(t, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad; echo 1 >/proc/sys/net/ipv6/conf/all/accept_dad")
	m.Must(t, "sh", "-c", "echo 100 >/proc/sys/net/ipv6/conf/eth0/dad_transmits")
	m.Must(t, "ip", "addr", "add", "2001:db8::7/64", "dev", "eth0")
	c := newClient(t, "dash", "family 6", "address interface eth0")
	if r := pushOn(t, c, m, "/usr/sbin", "-v"); sent(r) != "" || r.Status != 75 {
		t.Errorf("status %d, sent %q\n%s", r.Status, sent(r), r.Stderr)
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
			rig.Write(t, filepath.Join(dir, "ip"), "#!/bin/sh\nexit 127\n", 0o755)
			rig.Write(t, filepath.Join(dir, "ifconfig"), "#!/bin/sh\nexec cat "+filepath.Join(root, test.recorded)+"\n", 0o755)
			c := newClient(t, "dash", "address interface en0", test.conf)
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			if r := c.Push(t, "-v"); sent(r) != test.want {
				t.Errorf("sent %q, want %q\n%s", sent(r), test.want, r.Stderr)
			}
		})
	}
}
