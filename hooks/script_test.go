package hooks_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/records"
	"dnsgate/test/rig"
)

// shells are those that the scripts must run under: Debian's and OpenWrt's.
var shells = map[string][]string{"dash": {"dash"}, "busybox": {"busybox", "sh"}}

// newClient makes a client that runs the script in a shell.
func newClient(t *testing.T, shell string, lines ...string) *rig.Client {
	t.Helper()
	return rig.NewClient(t, rig.Script(t, shells[shell]...), lines...)
}

// eachShell runs a test under each shell, beside other tests.
func eachShell(t *testing.T, test func(t *testing.T, shell string)) {
	t.Parallel()
	for shell := range shells {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			test(t, shell)
		})
	}
}

func TestShellcheck(t *testing.T) {
	rig.Needs(t, "shellcheck")
	var scripts []string
	for _, pattern := range []string{"dnsgate-push", "ppp/*", "dhc*/*", "network*/*", "ifupdown/*", "openwrt/*", "acme/*"} {
		files, err := filepath.Glob(pattern)
		rig.Must(t, err)
		if len(files) == 0 {
			t.Errorf("%s: no such script", pattern)
		}
		scripts = append(scripts, files...)
	}
	out, err := exec.Command("shellcheck", append([]string{"-s", "sh"}, scripts...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestBadConfiguration(t *testing.T) {
	tests := map[string]struct{ line, want string }{
		"unknown key":       {"colour red", `unknown key "colour"`},
		"key in capitals":   {"Fresh 60", `unknown key "Fresh"`},
		"no value":          {"fresh", `"fresh" has no value`},
		"two values":        {"fresh 1 2", `"fresh" takes one word`},
		"given twice":       {"port 22\nport 22", `"port" is given twice`},
		"not a number":      {"fresh 1h", `"fresh" must be a number of seconds`},
		"octal":             {"fresh 010", `"fresh" must be`},
		"too large":         {"fresh 99999999999999999999", `"fresh" must be`},
		"negative":          {"fresh -1", `"fresh" must be`},
		"comment behind":    {"fresh 60 # an hour", "a comment has a line of its own"},
		"command":           {"user $(id)", "only letters, digits and"},
		"backquotes":        {"user `id`", "only letters, digits and"},
		"quotes":            {`user "me"`, "only letters, digits and"},
		"separator":         {"hosts a.example;id", "only letters, digits and"},
		"equals sign":       {"user = me", `"user" takes one word`},
		"option as user":    {"user -oProxyCommand=id", `"user" must be`},
		"option as alias":   {"host_key_alias -x", `"host_key_alias" must be`},
		"one label":         {"hosts home", `"home" is not a hostname`},
		"wildcard inside":   {"hosts a.*.example.com", "is not a hostname"},
		"underscore":        {"hosts a_b.example.com", "is not a hostname"},
		"family":            {"family ipv4", `"family" must be 4, 6 or both`},
		"ipv6":              {"ipv6 privacy", `"ipv6" must be stable, temporary or any`},
		"prefix":            {"prefix 128", `"prefix" must be a number from 1 to 127`},
		"private":           {"private true", `"private" must be yes or no`},
		"client":            {"client putty", `"client" must be auto, openssh, dbclient or plink`},
		"source":            {"address web https://ip.example", `"address" must be peer, argument`},
		"source's words":    {"address peer eth0", `"address" must be peer, argument`},
		"interface":         {"address interface -f", "is not an interface's name"},
		"relative file":     {"address file ip.txt", "needs an absolute path"},
		"relative program":  {"address6 command get-ip", `"address6 command" needs an absolute path`},
		"timeout":           {"connect_timeout 0", `"connect_timeout" must be`},
		"not ASCII":         {"# caf\xc3\xa9", "not printable ASCII; a name with other letters is written in its xn-- form\n"},
		"NUL":               {"fresh 6\x000", "not printable ASCII"},
		"escape":            {"fresh \x1b[0m", "not printable ASCII\n"},
		"carriage returns":  {"fresh 60\r\r", "not printable ASCII"},
		"long line":         {"#" + strings.Repeat("x", 1024), "longer than 1024 bytes"},
		"no such source":    {"address6 dhcp", `"address6" must be peer, argument`},
		"relative key path": {"host_key_alias a/b", `"host_key_alias" must be a name`},
	}
	eachShell(t, func(t *testing.T, shell string) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				c := newClient(t, shell, "", "# a comment", test.line)
				c.Push(t).Expect(t, 78, c.Config+":9: ", test.want)
				if _, err := os.Stat(filepath.Join(c.Dir, "state")); err == nil {
					t.Error("the state folder was made all the same")
				}
			})
		}
	})
}

func TestUntrustedFiles(t *testing.T) {
	tests := map[string]struct {
		do   func(c *rig.Client) error
		want string
	}{
		"configuration writable by the group": {func(c *rig.Client) error { return os.Chmod(c.Config, 0o664) }, "push.conf: others may write it"},
		"configuration writable by all":       {func(c *rig.Client) error { return os.Chmod(c.Config, 0o646) }, "push.conf: others may write it"},
		"no configuration":                    {func(c *rig.Client) error { return os.Remove(c.Config) }, "push.conf: is not there"},
		"a folder as configuration": {func(c *rig.Client) error {
			os.Remove(c.Config)
			return os.Mkdir(c.Config, 0o755)
		}, "push.conf: not a file"},
		"a huge configuration":      {func(c *rig.Client) error { return os.Truncate(c.Config, 65537) }, "push.conf: longer than 65536 bytes"},
		"key readable by the group": {func(c *rig.Client) error { return os.Chmod(c.Dir+"/id", 0o640) }, "id: others may read it"},
		"no key":                    {func(c *rig.Client) error { return os.Remove(c.Dir + "/id") }, "id: is not there"},
		"PuTTY's key for ssh": {func(c *rig.Client) error {
			return os.WriteFile(c.Dir+"/id", []byte("PuTTY-User-Key-File-3: ssh-ed25519\n"), 0o600)
		}, "not a private key in OpenSSH's format"},
		"known_hosts writable by all": {func(c *rig.Client) error { return os.Chmod(c.Dir+"/known_hosts", 0o666) }, "known_hosts: others may write it"},
		"no known_hosts":              {func(c *rig.Client) error { return os.Remove(c.Dir + "/known_hosts") }, "known_hosts: is not there"},
		"state writable by all": {func(c *rig.Client) error {
			os.Mkdir(c.Dir+"/state", 0o777)
			return os.Chmod(c.Dir+"/state", 0o777)
		}, "state: others may write it"},
	}
	eachShell(t, func(t *testing.T, shell string) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				c := newClient(t, shell)
				rig.Must(t, test.do(c))
				c.Push(t, "203.0.113.7").Expect(t, 78, test.want)
			})
		}
	})
}

func TestForeignConfiguration(t *testing.T) {
	rig.NeedsRoot(t)
	c := newClient(t, "dash")
	rig.Must(t, os.Chown(c.Config, 65534, 65534))
	c.Push(t, "203.0.113.7").Expect(t, 78, "belongs to another user")
}

func TestBadUsage(t *testing.T) {
	tests := map[string]struct {
		args   []string
		status int
		want   string
	}{
		"unknown option":         {[]string{"--now"}, 64, `unknown option "--now"`},
		"escape in an option":    {[]string{"-\x1b[2J"}, 64, `unknown option "-?[2J"`},
		"no value":               {[]string{"--retry"}, 64, "--retry needs a value"},
		"bad number":             {[]string{"--retry", "soon"}, 64, "--retry needs a number"},
		"bad interface":          {[]string{"--interface", "../eth0"}, 64, "is not an interface's name"},
		"event without one":      {[]string{"--on", ""}, 64, "is not an interface's name"},
		"relative file":          {[]string{"--file", "ip"}, 64, "needs an absolute path"},
		"relative configuration": {[]string{"--config", "push.conf"}, 64, "is not absolute"},
		"offline an address":     {[]string{"--offline", "203.0.113.7"}, 64, "--offline takes no address"},
		"offline dry run":        {[]string{"--offline", "--dry-run"}, 64, "--offline takes no address and no --dry-run"},
		"acme without a value":   {[]string{"--acme", "add", "home.example.com"}, 64, "--acme needs add or del, a name and a value"},
		"acme put":               {[]string{"--acme", "put", "home.example.com", "x"}, 64, "--acme needs add or del"},
		"acme name":              {[]string{"--acme", "add", "home", "x"}, 65, "is not a hostname"},
		"acme empty value":       {[]string{"--acme", "add", "home.example.com", ""}, 65, "value is empty"},
		"acme quoted value":      {[]string{"--acme", "add", "home.example.com", "a'b"}, 65, "odd characters"},
		"acme long value":        {[]string{"--acme", "add", "home.example.com", strings.Repeat("x", 256)}, 65, "longer than 255"},
		"host of other letters":  {[]string{"--host", "b\u00fccher.example"}, 65, "is not a hostname; a name with other letters is written in its xn-- form\n"},
		"host":                   {[]string{"--host", "-x.example.com"}, 65, "is not a hostname"},
		"empty address":          {[]string{""}, 65, "an address is empty"},
		"empty offer":            {[]string{"--offer", ""}, 65, "an address is empty"},
		"many addresses":         {strings.Fields(strings.Repeat("192.0.2.1 ", 17)), 65, "more than 16 addresses"},
	}
	eachShell(t, func(t *testing.T, shell string) {
		c := newClient(t, shell)
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				c.Push(t, test.args...).Expect(t, test.status, test.want)
			})
		}
		argument := newClient(t, shell, "address argument")
		argument.Push(t).Expect(t, 64, "no address was given")
	})
}

// TestAddresses compares what the script lets through with what the gateway
// would publish. The script may be stricter in two forms that nobody writes:
// IPv4 inside of IPv6, and the unused ::/80.
func TestAddresses(t *testing.T) {
	words := strings.Fields(`0.0.0.0 0.255.255.255 1.0.0.0 9.255.255.255 10.0.0.0 10.255.255.255 11.0.0.0
		100.63.255.255 100.64.0.0 100.127.255.255 100.128.0.0 126.255.255.255 127.0.0.1 128.0.0.0 169.253.255.255
		169.254.0.0 169.254.255.255 169.255.0.0 172.15.255.255 172.16.0.0 172.31.255.255 172.32.0.0 192.167.255.255
		192.168.0.0 192.168.255.255 192.169.0.0 192.0.2.1 198.51.100.1 203.0.113.255 223.255.255.255 224.0.0.0
		239.255.255.255 240.0.0.0 255.255.255.254 255.255.255.255 256.1.1.1 1.2.3 1.2.3.4.5 1.2.3.4. .1.2.3.4 1..2.3
		01.2.3.4 1.2.3.04 0x1.2.3.4 1.2.3.-4 +1.2.3.4 1.2.3.4/32 1.2.3.4:80 16909060 1.2.3.1e1 a.b.c.d localhost
		:: ::1 ::2:0:0:1 1:: 2000:: 2001:db8::1 2001:DB8::aBcD 2001:db8:0:0:0:0:0:1 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7::
		::2:3:4:5:6:7:8 1::3:4:5:6:7:8 1::2:3:4:5:6:7:8 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 1::2::3 1:::2 : ::: :1 1:
		1:2: 12345::1 g::1 2001:db8::1%eth0 [2001:db8::1] fbff::1 fc00:: fdff:ffff::1 fe00::1 fe7f::1 fe80::1 febf::1
		fec0::1 feff::1 ff00:: ff02::1 ffff:: 2001:db8::1/64x 2001:db8::/0 2001:db8::/128 2001:db8::/129 2001:db8::/064
		fe80::/64 2001:db8::/ /64 2001:db8::1/64/64`)
	script, err := os.ReadFile("dnsgate-push")
	rig.Must(t, err)
	functions, ok := strings.CutSuffix(string(script), "main \"$@\"\n")
	if !ok {
		t.Fatal(`the script does not end with: main "$@"`)
	}
	const each = `private=$1 got4='' got6=''; shift; for word; do if accept "$word"; then echo yes; else echo no "$why"; fi; done`
	eachShell(t, func(t *testing.T, shell string) {
		for setting, private := range map[string]bool{"no": false, "yes": true} {
			rig.Needs(t, shells[shell][0])
			argv := append(slices.Clone(shells[shell]), "-c", functions+each, "dnsgate-push", setting)
			out, err := exec.Command(argv[0], append(argv[1:], words...)...).Output()
			rig.Must(t, err)
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(lines) != len(words) {
				t.Fatalf("%d answers to %d words: %s", len(lines), len(words), out)
			}
			for i, word := range words {
				if got := lines[i] == "yes"; got != publishable(word, private) {
					t.Errorf("private %s: %s: %s", setting, word, lines[i])
				}
			}
		}
	})
}

func publishable(word string, private bool) bool {
	if base, bits, ok := strings.Cut(word, "/"); ok {
		n, err := strconv.Atoi(bits)
		if addr, err := netip.ParseAddr(base); err == nil && addr.Zone() == "" && addr.Is6() {
			base = addr.Next().String() // of a subnet, its first host
		}
		return err == nil && bits[0] != '0' && n > 0 && n < 128 && strings.Contains(base, ":") && publishable(base, private)
	}
	addr, err := records.ParseAddress(word)
	if err != nil || netip.MustParsePrefix("::/80").Contains(addr) {
		return false
	}
	return records.CheckAddress(addr, private) == nil
}

var sending = regexp.MustCompile(`sending "update ?([^"]*)"`)

// sent returns the words that a push sent after "update".
func sent(r rig.Result) string {
	var all []string
	for _, m := range sending.FindAllStringSubmatch(r.Stderr, -1) {
		all = append(all, m[1])
	}
	return strings.Join(all, "; ")
}

func TestSources(t *testing.T) {
	eachShell(t, func(t *testing.T, shell string) {
		dir := t.TempDir()
		file, program := filepath.Join(dir, "addresses"), filepath.Join(dir, "print")
		c := newClient(t, shell, "hosts home.example.com", "hosts *.home.example.com", "address file "+file)
		run := newClient(t, shell, "family 4", "address command "+program+" -x 203.0.113.9")
		tests := []struct {
			content string // of the file, and what the program prints
			status  int
			want    string // sent, or said
		}{
			{"203.0.113.7\n", 75, "203.0.113.7"},
			{"  203.0.113.7\t2001:db8::7\r\n", 65, "is not an address"},
			{"203.0.113.7\n2001:db8::7\n203.0.113.8", 75, "203.0.113.7 203.0.113.8 2001:db8::7"},
			{"2001:db8:1:2:3::4/56\n", 75, "2001:db8:1:0:0:0:0:0/56"},
			{"", 75, "has no address"},
			{"\n \n", 75, "has no address"},
			{"203.0.113.7 $(touch pwned)", 65, `"$(touch" is not an address`},
			{"* /etc/*", 65, `"*" is not an address`},
			{"127.0.0.1", 65, "loopback"},
			{"203.0.113.7 0.0.0.0", 65, "reserved"},
			{"203.0.113.7\x00", 65, "is not an address"},
			{"\x1b]0;x\x07", 65, `"?]0;x?" is not an address`},
			{strings.Repeat("203.0.113.7 ", 17), 65, "more than 16 addresses"},
		}
		for _, test := range tests {
			rig.Write(t, file, test.content, 0o644)
			r := c.Push(t, "-v", "--force")
			r.Expect(t, test.status)
			want := strings.TrimSpace("home.example.com *.home.example.com " + test.want)
			if sent(r) != want && !(sent(r) == "" && strings.Contains(r.Stderr, test.want)) {
				t.Errorf("file %q: sent %q, want %q\n%s", test.content, sent(r), test.want, r.Stderr)
			}
		}
		rig.Must(t, os.Remove(file))
		c.Push(t, "-v").Expect(t, 75, "is not there")

		run.Push(t, "-v").Expect(t, 78, "not a program")
		rig.Write(t, program, "#!/bin/sh\n[ \"$1\" = -x ] && echo \"$2\"\n", 0o755)
		if r := run.Push(t, "-v"); sent(r) != "203.0.113.9" {
			t.Errorf("sent %q\n%s", sent(r), r.Stderr)
		}
		rig.Write(t, program, "#!/bin/sh\necho 203.0.113.9; exit 3\n", 0o755)
		if r := run.Push(t, "-v"); r.Status != 75 || sent(r) != "" || !strings.Contains(r.Stderr, "failed with status 3") {
			t.Errorf("status %d, sent %q\n%s", r.Status, sent(r), r.Stderr)
		}
		rig.Write(t, program, "#!/bin/sh\nyes 203.0.113.9 \n", 0o755)
		if r := run.Push(t, "-v"); r.Status == 0 || sent(r) != "" {
			t.Errorf("endless output: status %d, sent %q\n%s", r.Status, sent(r), r.Stderr)
		}
		if reply, err := os.Stat(filepath.Join(run.Dir, "state", "reply")); err != nil || reply.Size() > 65536 {
			t.Errorf("endless output: %v, %v", reply, err)
		}
	})
}

// TestQuiet checks who is told what: a failure that may pass is no news for a
// program without a terminal, a wrong address is.
func TestQuiet(t *testing.T) {
	eachShell(t, func(t *testing.T, shell string) {
		c := newClient(t, shell)
		tests := []struct {
			args []string
			says bool
		}{
			{[]string{"203.0.113.7"}, false},
			{[]string{"-v", "203.0.113.7"}, true},
			{[]string{"203.0.113"}, true},
			{[]string{"-q", "203.0.113"}, false},
			{[]string{"-q", "203.0.113.7"}, false},
		}
		for _, test := range tests {
			r := c.Push(t, test.args...)
			if r.Status == 0 || (r.Stderr != "") != test.says || r.Stdout != "" {
				t.Errorf("%q: status %d, stdout %q, stderr %q", test.args, r.Status, r.Stdout, r.Stderr)
			}
		}
	})
}

func TestTerminal(t *testing.T) {
	rig.Needs(t, "script")
	c := newClient(t, "dash")
	cmd := exec.Command("script", "-qec", "./dnsgate-push --config "+c.Config+" 203.0.113.7", "/dev/null")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "sending \"update 203.0.113.7\"") || !strings.Contains(string(out), "cannot be reached") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestRetry checks that a push goes on for as long as it was told, and no
// longer, each time waiting longer.
func TestRetry(t *testing.T) {
	eachShell(t, func(t *testing.T, shell string) {
		c := newClient(t, shell)
		begun := time.Now()
		r := c.Push(t, "-v", "--retry", "6", "203.0.113.7")
		r.Expect(t, 75, "trying again in")
		if n := strings.Count(r.Stderr, "sending"); n < 2 || n > 5 {
			t.Errorf("%d attempts\n%s", n, r.Stderr)
		}
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("told to end after 6 s, it took %v", took)
		}
	})
}

// TestSeconds runs the script's own function.
func TestSeconds(t *testing.T) {
	eachShell(t, func(t *testing.T, shell string) {
		script, err := os.ReadFile("dnsgate-push")
		rig.Must(t, err)
		function := regexp.MustCompile(`(?ms)^seconds\(\) .*?^}`).Find(script)
		words := append(slices.Clone(shells[shell]), "-c", string(function)+"\nseconds 0; seconds 1; seconds 11")
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		rig.Must(t, err)
		if string(out) != "0 seconds\n1 second\n11 seconds\n" {
			t.Errorf("%s", out)
		}
	})
}

// TestEvents checks that an event on an interface that push.conf does not use
// ends before anything is written.
func TestEvents(t *testing.T) {
	eachShell(t, func(t *testing.T, shell string) {
		tests := []struct {
			conf string
			args string
			want string // sent; "" is nothing at all
		}{
			{"address interface lo", "--on eth0", ""},
			{"address peer", "--on eth0", " "},
			{"address peer\nfamily 4", "--on eth0 -6", ""},
			{"address argument", "--on eth0", ""},
			{"address argument", "--on eth0 --offer 203.0.113.7", "203.0.113.7"},
			{"address argument", "--on eth0 --offer 203.0.113.7 --offer 2001:db8::7", "203.0.113.7 2001:db8::7"},
			{"address argument", "--on eth0 --offer 203.0.113.7 --offer 2001:db8::7 -6", "2001:db8::7"},
			{"address argument", "--on eth0 -6 --offer peer", " "},
			{"address peer\nfamily 4", "--offer 203.0.113.7", " "},
			{"address peer\nfamily 4", "--offer 203.0.113.7 198.51.100.1 2001:db8::1", "198.51.100.1 2001:db8::1"},
			{"address peer\nfamily 6\naddress6 interface lo", "--on eth0", ""},
		}
		for _, test := range tests {
			c := newClient(t, shell, test.conf)
			r := c.Push(t, append([]string{"-v"}, strings.Fields(test.args)...)...)
			_, err := os.Stat(filepath.Join(c.Dir, "state"))
			switch {
			case test.want == "" && (r.Status != 0 || err == nil):
				t.Errorf("%s, %s: status %d, state folder: %v\n%s", test.conf, test.args, r.Status, err, r.Stderr)
			case test.want != "" && (r.Status != 75 || strings.Trim(sent(r), "; ") != strings.TrimSpace(test.want)):
				t.Errorf("%s, %s: status %d, sent %q, want %q\n%s", test.conf, test.args, r.Status, sent(r), test.want, r.Stderr)
			}
		}
	})
}
