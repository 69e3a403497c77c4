package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func load(t *testing.T, content string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dnsgate.toml")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), path, "dnsgate.toml"))
	}
	return c, err
}

// wholeDefault is the configuration of the file that Template gives, in folder.
func wholeDefault(folder string) *Config {
	c := defaults()
	c.TinyDNS = defaultTinyDNS()
	c.resolve(folder)
	return c
}

func TestTemplateIsDefault(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "dnsgate.toml")
	if err := os.WriteFile(path, Template(), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	c.Places = Places{}
	if want := wholeDefault(folder); !reflect.DeepEqual(c, want) {
		t.Errorf("the template reads as\n%+v %+v\nwant\n%+v %+v", c, c.TinyDNS, want, want.TinyDNS)
	}
}

// TestTemplateShowsEveryKey takes each key of the template away in turn, which
// must change nothing, and misspells it, which must be told with its line.
func TestTemplateShowsEveryKey(t *testing.T) {
	text := string(Template())
	text = regexp.MustCompile(`(?m)^#(\[\[rfc2136|\[etcd|\[follow\]|\w+ = )`).ReplaceAllString(text, "$1")
	whole, err := parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	whole.Places = Places{}
	lines := strings.Split(text, "\n")
	keys := 0
	for i, line := range lines {
		if !regexp.MustCompile(`^\w+ = `).MatchString(line) {
			continue
		}
		key, _, _ := strings.Cut(line, " = ")
		keys++
		lines[i] = "x" + line
		_, err := parse("f", []byte(strings.Join(lines, "\n")))
		if want := "unknown key \"x" + key; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s misspelt: %v", key, err)
		}
		lines[i] = ""
		c, err := parse("f", []byte(strings.Join(lines, "\n")))
		lines[i] = line
		if needed := strings.HasPrefix(key, "tsig") || key == "server" || key == "zone" || key == "endpoints" || key == "gateway" || key == "names"; needed {
			if err == nil {
				t.Errorf("%s left out: no error", key)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s left out: %v", key, err)
		}
		if c.Places = (Places{}); !reflect.DeepEqual(c, whole) {
			t.Errorf("%s left out: not its default", key)
		}
	}
	if keys != 11+14+11+5+1+7+2+4 {
		t.Errorf("the template has %d keys", keys)
	}
}

func TestLoad(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "dnsgate.toml")
	content := `
listen = ["127.0.0.1:0", "[::1]:2222", ":22"]
host_keys = ["/etc/key", "keys/two"]
state = "/var/lib/dnsgate"
ttl = 0
post_quantum_only = true
confine = false
limits = {idle_timeout = "1h", penalties = false, penalty_exempt = ["192.0.2.7", "2001:db8::/32"]}
[tinydns]
root = "/etc/tinydns/root"
write = "rewrite"
path = "data"
sources = []
rebuild = ["make", "-s", ""]
aaaa = "fefe"
verify = "ns.example.com:53"
location = "in"
[[rfc2136]]
server = "192.0.2.1:53"
zone = "Example.COM."
[[rfc2136]]
server = "[::1]:5353"
zone = "64/26.2.0.192.in-addr.arpa"
tsig_name = "Key."
tsig_algorithm = "hmac-sha512"
tsig_secret_file = "secret"
`
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Places.Of("rfc2136[1].tsig_name"), path+":24: rfc2136.tsig_name"; got != want {
		t.Errorf("the key's name stands at %q, not %q", got, want)
	}
	if got, want := c.Places.Of("host_keys[1]"), path+":3: host_keys"; got != want {
		t.Errorf("the second host key stands at %q, not %q", got, want)
	}
	if got, want := c.Places.Of("limits.max_hosts"), path+":8: limits.max_hosts"; got != want {
		t.Errorf("a default stands at %q, not %q", got, want)
	}
	c.Places = Places{}
	want := wholeDefault(folder)
	want.Listen = []string{"127.0.0.1:0", "[::1]:2222", ":22"}
	want.HostKeys = []string{"/etc/key", filepath.Join(folder, "keys/two")}
	want.State = "/var/lib/dnsgate"
	want.TTL = 0
	want.PostQuantumOnly = true
	want.Confine = false
	want.Limits.IdleTimeout = time.Hour
	want.Limits.Penalties = false
	want.Limits.PenaltyExempt = []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")}
	want.TinyDNS = &TinyDNS{
		Root: "/etc/tinydns/root", Write: WriteRewrite, Path: "data", Sources: []string{},
		Rebuild: []string{"make", "-s", ""}, Timeout: 10 * time.Second, AAAA: AAAAFefe, Verify: "ns.example.com:53", Location: "in",
		After: []string{}, Notify: []string{},
	}
	want.RFC2136 = []RFC2136{
		{Server: "192.0.2.1:53", Zone: "example.com"},
		{
			Server: "[::1]:5353", Zone: "64/26.2.0.192.in-addr.arpa",
			TSIGName: "key", TSIGAlgorithm: "hmac-sha512", TSIGSecret: filepath.Join(folder, "secret"),
		},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got\n%+v %+v\nwant\n%+v %+v", c, c.TinyDNS, want, want.TinyDNS)
	}
}

func TestWithoutTinyDNS(t *testing.T) {
	c, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.TinyDNS != nil || c.TTL != 300 || c.Limits.MaxStartups != 200 {
		t.Errorf("an empty file reads as %+v", c)
	}
}

func TestFaults(t *testing.T) {
	const noNetwork = `must be an address or a network, such as "192.0.2.7" or "2001:db8::/32", with no bits set behind its length`
	for _, test := range []struct {
		name, content, want string
	}{
		{"every fault at its line", `ttl = -1
listn = []
host_keys = "key"

[limits]
max_startups = "many"
idle_timeout = 30
login_grace_time = "20"
max_connection = "3s0"
[tinydns]
write = "files"
[more.tables]
x = 1
[[rfc2136]]
server = "localhost:53"
zone = "a..b"
[[rfc2136]]
zone = "example.com"
tsig_name = "k"
`, `dnsgate.toml:1: ttl = -1: must be from 0 to 2147483647
dnsgate.toml:2: unknown key "listn"; known here are listen, host_keys, authorized_keys, state, store, control, ttl, revoked_keys, metrics_file, post_quantum_only, confine, limits, tinydns, rfc2136, sshd, etcd, followers, follow
dnsgate.toml:3: host_keys must be a list of texts, such as ["one", "two"], not text
dnsgate.toml:6: limits.max_startups must be a whole number, not text
dnsgate.toml:7: limits.idle_timeout must be a duration in quotes, such as "20s" or "10m", not a number
dnsgate.toml:8: limits.login_grace_time = "20": not a duration, such as "20s" or "10m"
dnsgate.toml:9: limits.max_connection = "3s0": not a duration, such as "20s" or "10m"
dnsgate.toml:11: tinydns.write = "files": must be one of ["file" "section" "rewrite" "hosts"]
dnsgate.toml:12: unknown key "more"; known here are listen, host_keys, authorized_keys, state, store, control, ttl, revoked_keys, metrics_file, post_quantum_only, confine, limits, tinydns, rfc2136, sshd, etcd, followers, follow
dnsgate.toml:16: rfc2136.zone = "a..b": not a domain name: "" is not a label
dnsgate.toml:17: rfc2136 needs a server
dnsgate.toml:17: rfc2136 needs a tsig_algorithm beside the other tsig keys, or none of them
dnsgate.toml:17: rfc2136 needs a tsig_secret_file beside the other tsig keys, or none of them`},
		{"list elements at their own lines", "listen = [\n \":1\", # one\n \":1\",\n 7,\n]\nhost_keys = []", `dnsgate.toml:3: listen holds ":1": it is there twice
dnsgate.toml:4: listen must hold only texts in quotes, not a number
dnsgate.toml:6: host_keys names no key; dnsgate init makes one`},
		{"grammar", "ttl = 1\nlisten = [1 2]", `dnsgate.toml:2: expected ',' or ']' after array value`},
		{"typographic quotes", "ttl = 1\nlisten = [\n \":1\",\n “:2”]", `dnsgate.toml:4: '“' (U+201C) is a typographic quote; write " or '`},
		{"behind a good text", "listen = [\"é\", ‘b’]", `dnsgate.toml:1: '‘' (U+2018) is a typographic quote; write " or '`},
		{"closed by one", "ttl = 1\nstate = \"x”\r\n", `dnsgate.toml:2: '”' (U+201D) is a typographic quote; write " or '`},
		{"an odd space", "ttl =\u00a01", `dnsgate.toml:1: U+00A0 may not stand here`},
		{"another letter", "ttl = 1 é", `dnsgate.toml:1: 'é' (U+00E9) may not stand here`},
		{"no UTF-8", "state = \"\xff\"", `dnsgate.toml:1: invalid UTF-8 character in basic string`},
		{"byte order mark", "\ufeffttl = 1", `dnsgate.toml:1: the file begins with a byte order mark; save it as UTF-8 without one`},
		{"UTF-16", "\xff\xfet\x00", `dnsgate.toml:1: the file is UTF-16; save it as UTF-8, without a byte order mark`},
		{"a typographic comment", "ttl = 1 2 # “x”", `dnsgate.toml:1: expected newline but got U+0032 '2'`},
		{"a name of other letters", "[[rfc2136]]\nserver = \"bücher.example:53\"\nzone = \"dyn.bücher.example\"", `dnsgate.toml:2: rfc2136.server = "b\u00fccher.example:53": "b\u00fccher.example" is not ASCII: 'ü' (U+00FC); write xn--bcher-kva.example
dnsgate.toml:3: rfc2136.zone = "dyn.b\u00fccher.example": not a domain name in ASCII: 'ü' (U+00FC); write dyn.xn--bcher-kva.example`},
		{"a key twice", "ttl = 1\n\nttl = 2", `dnsgate.toml:3: key ttl is already defined`},
		{"a table that is none", "limits = 1\ntinydns = [1]\nrfc2136 = {}", `dnsgate.toml:1: limits must be a table, [limits], not a number
dnsgate.toml:2: tinydns must be a table, [tinydns], not a list
dnsgate.toml:3: rfc2136 must be tables, [[rfc2136]] each, not a table`},
		{"a list of no tables", "rfc2136 = [1.5, {server=\"a:1\"}]", `dnsgate.toml:1: rfc2136 must be tables, [[rfc2136]] each, not a fraction
dnsgate.toml:1: rfc2136 needs a zone`},
		{"a zone twice", "[[rfc2136]]\nserver='a.b:1'\nzone='X.y'\n[[rfc2136]]\nserver='a.b:1'\nzone='x.Y.'", `dnsgate.toml:4: rfc2136 has the zone and server of an entry before it`},
		{"below a list of tables", "[[rfc2136]]\nserver='a.b:1'\nzone='x.y'\n[rfc2136.more]\nx=1", `dnsgate.toml:4: unknown key "more"; known here are server, zone, tsig_name, tsig_algorithm, tsig_secret_file`},
		{"dotted", "limits.max_sessions = 0\nlimits.idle_timeout = '25h'", `dnsgate.toml:1: limits.max_sessions = 0: must be from 1 to 1000
dnsgate.toml:2: limits.idle_timeout = "25h": must be from 1s to 24h0m0s`},
		{"a quoted key", "'a b' = 1\n\"\\u0007\" = 1979-05-27", `dnsgate.toml:1: unknown key "a b"; known here are listen, host_keys, authorized_keys, state, store, control, ttl, revoked_keys, metrics_file, post_quantum_only, confine, limits, tinydns, rfc2136, sshd, etcd, followers, follow
dnsgate.toml:2: unknown key "\a"; known here are listen, host_keys, authorized_keys, state, store, control, ttl, revoked_keys, metrics_file, post_quantum_only, confine, limits, tinydns, rfc2136, sshd, etcd, followers, follow`},
		{"rebuild", "tinydns.rebuild = 'make'", `dnsgate.toml:1: tinydns.rebuild = "make": must be "builtin", or a command as a list of its words, such as ["make"]`},
		{"rebuild of nothing", "tinydns.rebuild = []", `dnsgate.toml:1: tinydns.rebuild must be "builtin", or a command as a list of its words, such as ["make"]`},
		{"rebuild of numbers", "tinydns.rebuild = [1]", `dnsgate.toml:1: tinydns.rebuild must hold only texts in quotes, not a number`},
		{"writing data.cdb", "tinydns.path = 'sub/data.cdb'", `dnsgate.toml:1: tinydns.path = "sub/data.cdb": not the name of a data file or folder`},
		{"a date", "state = 1979-05-27", `dnsgate.toml:1: state must be text in quotes, not a date or time`},
		{"no flag", "post_quantum_only = 'yes'", `dnsgate.toml:1: post_quantum_only must be true or false, without quotes, not text`},
		{"networks", "[limits]\npenalty_exempt = [\n'192.0.2.1/24',\n'home',\n'::ffff:192.0.2.1',\n'fe80::1%eth0']", `dnsgate.toml:3: limits.penalty_exempt holds "192.0.2.1/24": ` + noNetwork + `
dnsgate.toml:4: limits.penalty_exempt holds "home": ` + noNetwork + `
dnsgate.toml:5: limits.penalty_exempt holds "::ffff:192.0.2.1": ` + noNetwork + `
dnsgate.toml:6: limits.penalty_exempt holds "fe80::1%eth0": ` + noNetwork},
		{"no path", "state = ''", `dnsgate.toml:1: state = "": a path is missing`},
		{"a pattern", "tinydns.sources = ['a[']", `dnsgate.toml:1: tinydns.sources holds "a[": not a path or pattern: a bracket is not closed, or a backslash is last`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := load(t, test.content)
			if err == nil {
				t.Fatalf("no error: %+v", c)
			}
			if err.Error() != test.want {
				t.Errorf("got\n%s\nwant\n%s", err, test.want)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		check func(string) error
		good  []string
		bad   []string
	}{
		{
			checkListen,
			[]string{":0", ":22", "0.0.0.0:2222", "[::]:65535", "[fe80::1%eth0]:1"},
			[]string{"", "22", "localhost:22", "1.2.3:22", "::1:22", "[::1]", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:ssh", "1.2.3.4:", "*:22"},
		},
		{
			checkServer,
			[]string{"127.0.0.1:53", "[::1]:53", "localhost:1", "ns_1.example.com.:5353"},
			[]string{"", ":53", "127.0.0.1", "127.0.0.1:0", "a b:53", "[a:b]:53", "::1:53"},
		},
	} {
		for _, s := range test.good {
			if err := test.check(s); err != nil {
				t.Errorf("%q: %v", s, err)
			}
		}
		for _, s := range test.bad {
			if test.check(s) == nil {
				t.Errorf("%q: no error", s)
			}
		}
	}
}

func TestUnreadable(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a folder: no error")
	}
	if _, err := load(t, strings.Repeat("#\n", maxFile)); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a huge file: %v", err)
	}
}

// FuzzParse checks that no input panics, that faults have a line of the file,
// and that what is accepted keeps the bounds.
func FuzzParse(f *testing.F) {
	f.Add(Template())
	f.Add([]byte("[[rfc2136]]\n[rfc2136.x]\n[[rfc2136.x.y]]\na.b=[[1],{c=1}]"))
	f.Add([]byte("limits = {idle_timeout='1s'}\r\n\"a.b\"=1\nttl=1.5"))
	f.Add([]byte("listen=[\"\"\"\n\n\"\"\",'x']"))
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := parse("f", content)
		if err == nil {
			if len(c.HostKeys) == 0 || c.State == "" || c.Limits.MaxStartups < 1 || c.TTL > 1<<31-1 {
				t.Errorf("accepted: %+v", c)
			}
			return
		}
		var faults Problems
		if !errors.As(err, &faults) || len(faults) == 0 {
			t.Fatalf("not faults: %v", err)
		}
		lines := strings.Count(string(content), "\n") + 1
		for _, fault := range faults {
			if fault.Line < 1 || fault.Line > lines || strings.ContainsAny(fault.Msg, "\n\x00") {
				t.Errorf("of %d lines: %q", lines, fault.String())
			}
		}
	})
}

// TestControl: where the socket is depends on who is to reach it.
func TestControl(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "/etc/dnsgate/state/control",
		`state = "/var/lib/dnsgate"`:           "/var/lib/dnsgate/control",
		`control = "here"`:                     "/etc/dnsgate/here",
		"[sshd]\nusers = [\"a\", \"b:admin\"]": "/run/dnsgate/control",
	} {
		c, err := parse("dnsgate.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		c.resolve("/etc/dnsgate")
		if c.ControlSocket() != want {
			t.Errorf("%s: %s, want %s", text, c.ControlSocket(), want)
		}
	}
	for text, want := range map[string]string{
		"[sshd]\nusers = [\"a\", \"a:admin\"]": `users holds "a" twice`,
		"[sshd]\nusers = [\"a:root\"]":         "must be an account's name",
	} {
		if _, err := parse("dnsgate.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestFIFO: a FIFO where the configuration should be is refused, not waited for.
func TestFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dnsgate.toml")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}
