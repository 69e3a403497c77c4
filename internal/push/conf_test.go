package push

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/sysexits"
	"dnsgate/test/rig"
)

func TestConfig(t *testing.T) {
	text := "\r\n# a comment\ngateway gate.example.com\n\tport\t22  \r\nuser me\nkey /k/id\nknown_hosts /k/known\n" +
		"host_key_alias gate\nhosts a.example.com. *.a.example.com\n hosts b.example.com,c.example.com.,\nacme_alias *.A.example.com. _acme-challenge.b.example.com\nfamily 6\naddress command /bin/ip -6 a=b\n" +
		"address6 interface br-lan.7\nipv6 any\nprefix 56\nprivate yes\nclient plink\nfresh 0\nretry 86400\nconnect_timeout 120\nstate /s"
	got, err := parseConfig("/push.conf", text)
	rig.Must(t, err)
	want := Config{
		Gateway: "gate.example.com", Port: 22, User: "me", Key: "/k/id", KnownHosts: "/k/known", HostKeyAlias: "gate",
		Hosts: []string{"a.example.com", "*.a.example.com", "b.example.com", "c.example.com"}, Aliases: map[string]string{"a.example.com": "b.example.com"}, Family: "6",
		Address: Source{"command", []string{"/bin/ip", "-6", "a=b"}}, Address6: Source{"interface", []string{"br-lan.7"}},
		IPv6: "any", Prefix: 56, Private: true, Fresh: 0, Retry: 24 * time.Hour, ConnectTimeout: 2 * time.Minute,
		State: "/s", file: "/push.conf",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// words are keys and values, good and bad, for every key.
var words = map[string][]string{
	"gateway": {"gate.example.com", "gate.example.com.", "gate.example.com..", ".", "gate.example.com.:2222", "gate", "GATE", "203.0.113.1", "2001:db8::1", "::1", "::ffff:102:304", "::ffff:1.2.3.4", "1.2.3", "1.2.3.4.5",
		"01.2.3.4", "256.1.1.1", "1.2.3.x", "12", "-x", "x-", "a_b", "a..b", ".a.b", "a.b.", "fe80::1%eth0", "[::1]", "gate.example.com:2222", "gate:22", "192.0.2.1:2222", "gate:0", "gate:x", "::1:2222:", "1:2:3:4:5:6:7", "g::1", ":", "::",
		"*.example.com", "a.12", "12.a", strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a.", 125) + "ab", strings.Repeat("a.", 126) + "ab"},
	"port":        {"1", "22", "65535", "0", "65536", "-1", "+1", "022", "1e3", "0x16", "2222222222", "1.0"},
	"user":        {"me", "_me", "Me-2.x", "-me", ".me", "me@x", "7", "m:e", "root/x", "*"},
	"key":         {"/k", "/etc/dnsgate/id", "k", "/", "//", "/a b", "/a*", "./k", "C:/k", "/k/../k", "/a:b@c+d=e,f-g_h.i"},
	"known_hosts": {"/k", "k", "/", "~/.ssh/known_hosts"},
	"host_key_alias": {"gate", "gate.example.com", "-gate", "a/b", "[gate]", "g:1",
		"_x", "*"},
	"hosts": {"a.example.com", "a.example.com b.example.com", "*.a.example.com", "home", "a.*.example.com", "*", "*.", "*.com", "**.a.example.com", "a_b.example.com",
		"a.example.com.", "a.example.com..", ",", "a.example.com,,b.example.com.", ",a.b,*.c.d,", ".example.com", "-a.example.com", "a-.example.com", "a.example.123", "123.a", "A.EXAMPLE.COM", "a.example.com,b.example.com", "1.2.3.4",
		strings.Repeat("a", 63) + ".b", strings.Repeat("a", 64) + ".b", strings.Repeat("a.", 126) + "b", strings.Repeat("a.", 126) + "bc"},
	"acme_alias": {"a.example.com b.example.com", "a.example.com", "a.example.com b.example.com c.example.com", "_acme-challenge.a.example.com. *.b.example.com", "a b.example.com",
		"a.example.com b", "A.example.com b.example.com\nacme_alias a.example.com c.example.com", "a.example.com b.example.com\nacme_alias b.example.com c.example.com"},
	"family": {"4", "6", "both", "ipv4", "46", "BOTH", "4 6", "04"},
	"address": {"peer", "argument", "interface eth0", "interface", "interface -f", "interface eth0 eth1", "interface br-lan.7:1@x", "interface .x", "interface " + strings.Repeat("x", 15),
		"interface " + strings.Repeat("x", 16), "interface a/b", "interface a*", "file /a", "file a", "file", "file /a /b", "command /a", "command /a -x y", "command a", "command",
		"command /a " + strings.Repeat("w ", 20), "peer eth0", "argument 1.2.3.4", "web https://x", "Peer", "peer peer", "command /"},
	"address6":        {"peer", "interface eth0", "file a", "command get-ip", "dhcp", "none"},
	"ipv6":            {"stable", "temporary", "any", "privacy", "Stable"},
	"prefix":          {"1", "64", "127", "0", "128", "/64", "064"},
	"private":         {"yes", "no", "true", "1", "YES"},
	"client":          {"auto", "openssh", "dbclient", "plink", "putty", "ssh"},
	"fresh":           {"0", "1", "2592000", "2592001", "1h", "010", "00", "-1", "99999999999999999999", "999999999", "1000000000", "1 2", "60 # an hour"},
	"retry":           {"0", "86400", "86401", "5m"},
	"connect_timeout": {"1", "120", "0", "121"},
	"state":           {"/s", "s", "/"},
	"colour":          {"red", "red green", ""},
	"Fresh":           {"60"},
	"hostsx":          {"a.example.com"},
	"=":               {"1"},
	"*":               {"*"},
}

// lines are whole lines that are odd.
var lines = []string{
	"", " ", "\t", "\r", " \r", "#", " # x", "#x y", "\t#", "fresh", "fresh ", "fresh\t", "fresh \r", "fresh 60\r\r", "fresh 60\r ", "\rfresh 60", "fresh\r60",
	"user $(id)", "user `id`", `user "me"`, `user me\`, `user m\e`, "user me;id", "user 'me'", "user ${HOME}", "user = me", "user=me", "user me # me", "user me #",
	"$(id) x", "user !x", "user ~", "user a|b", "user (x)", "user <x", "user &", "user ?", "user [a]", "user {a}", "user ^", "user %s", `"x`, `"x y`, "'x", `a\d`, `a\d c`,
	"# caf\xc3\xa9", "# \x7f", "# \x1b[0m", "# \x01", "# \x00", "\x00", "fresh 6\x000", "fresh 60\x00", "\xff", "\x80", "\x81", "\x82", "\x88x", "# \x81\x82\x83",
	"\v", "\f", "fresh\v60", "fresh\u00a060", "hosts", "hosts a.example.com\u00a0",
	"#" + strings.Repeat("x", 1023), "#" + strings.Repeat("x", 1024), "#" + strings.Repeat("x", 1023) + "\r", "#" + strings.Repeat("x", 1024) + "\r",
	strings.Repeat(" ", 1024), strings.Repeat(" ", 1025), strings.Repeat("\t", 1024) + "\r", "fresh " + strings.Repeat("1", 1018), "END", "EOF", "$1", "-n", "-e x", "--",
}

// configurations makes push.conf files: one for each word and line after a good
// beginning, some by hand, and many of chance.
func configurations() []string {
	const base = "gateway gate.example.com\n"
	var all, every []string
	every = append(every, lines...)
	for key, values := range words {
		for _, value := range values {
			every = append(every, key+" "+value)
			if key == "gateway" {
				all = append(all, key+" "+value)
			}
		}
	}
	for _, line := range every {
		all = append(all, base+line+"\n")
	}
	all = append(all, "", "\n", "\n\n\n", base, strings.TrimSpace(base), base+base, base+"hosts a.b\nhosts a.b\n", base+"address peer\naddress peer", base+"hostsx a\n",
		base+"port 1\n\nport 2", base+"fresh 60", base+"fresh 60\r", base+"\n\n\nfresh x\n\n", "\ufeff"+base, base+"\x00", strings.Repeat("#\n", 32000)+"x", strings.Repeat("#", 65537))
	r := rand.New(rand.NewPCG(6, 2136))
	for range 250 {
		var text strings.Builder
		for range r.IntN(6) {
			text.WriteString(every[r.IntN(len(every))])
			text.WriteString([]string{"\n", "\r\n", "\n\n", "\n"}[r.IntN(4)])
		}
		all = append(all, text.String())
	}
	return all
}

const script = "../../hooks/dnsgate-push"

// TestConfigAsTheScript compares what is said of many files with what the
// script says: the same text, with the same number of the line. Arguments that
// do not go together end the script right after it has read the file.
// character is what the script cannot tell.
var character = regexp.MustCompile(`(not printable ASCII): U\+.*`)

func TestNamesOfOtherLetters(t *testing.T) {
	_, err := parseConfig("/push.conf", "gateway gate.example.com\nhosts\ta.example.com\tb\u00fccher.example\n")
	if err == nil || err.Error() != "/push.conf:2: a byte that is not printable ASCII: U+00FC; write xn--bcher-kva.example" {
		t.Error(err)
	}
	for _, o := range []Options{{Hosts: []string{"*.b\u00fccher.example"}}, {ACME: []string{"add", "*.b\u00fccher.example", "x"}}} {
		o.Config = filepath.Join(t.TempDir(), "push.conf")
		rig.Write(t, o.Config, "gateway gate.example.com\n", 0o644)
		_, err = newJob(o)
		if err == nil || !strings.Contains(err.Error(), "b??cher.example\" is not a hostname: U+00FC; write ") || !strings.HasSuffix(err.Error(), "xn--bcher-kva.example") {
			t.Error(err)
		}
	}
}

func TestDurationsInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0 seconds", time.Second: "1 second", 1900 * time.Millisecond: "1 second", 2 * time.Minute: "120 seconds"} {
		if got := inWords(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestConfigAsTheScript(t *testing.T) {
	rig.Needs(t, "dash")
	file := filepath.Join(t.TempDir(), "push.conf")
	good, bad := 0, 0
	for _, text := range configurations() {
		rig.Write(t, file, text, 0o644)
		out, _ := exec.Command("dash", script, "--config", file, "--offline", "--dry-run").CombinedOutput()
		said := strings.TrimPrefix(strings.TrimSpace(string(out)), "dnsgate-push: ")

		want := "--offline takes no address and no --dry-run; dnsgate-push --help tells how"
		if _, err := newJob(Options{Config: file, Offline: true}); err != nil {
			bad++
			want = err.Error()
		} else {
			good++
		}
		want = character.ReplaceAllString(want, "$1; a name with other letters is written in its xn-- form")
		if said != want {
			t.Errorf("%.200q:\nthe script says %q\nwe say          %q", text, said, want)
		}
	}
	t.Logf("%d files are good, %d bad", good, bad)
	if good < 50 || bad < 50 {
		t.Error("too few of a sort to tell anything")
	}
}

func FuzzConfig(f *testing.F) {
	for _, text := range configurations() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig("/push.conf", text)
		if err != nil {
			var number int
			if n, _ := fmt.Sscanf(err.Error(), "/push.conf:%d: ", &number); n != 1 || number < 1 || number > strings.Count(text, "\n")+1 {
				t.Fatalf("no number of a line: %v", err)
			}
			if !isPrintable(err.Error()) {
				t.Fatalf("not fit to be shown: %q", err)
			}
			return
		}
		for _, word := range append(append([]string{c.Gateway, c.User, c.Key, c.HostKeyAlias, c.Address.Kind}, c.Hosts...), c.Address.Words...) {
			if !consistsOf(word, "/._@+=,:*-") {
				t.Fatalf("%q came through", word)
			}
		}
		if c.Gateway != "" && strings.HasPrefix(c.Gateway, "-") || strings.HasPrefix(c.User, "-") {
			t.Fatalf("an option came through: %+v", c)
		}
		again, err := parseConfig("/push.conf", strings.ReplaceAll(text, "\n", "\r\n# more\r\n"))
		if err != nil || !reflect.DeepEqual(again, c) {
			if !strings.Contains(text, "\r") && len(text) < maxLine {
				t.Fatalf("other line ends change the meaning: %v", err)
			}
		}
	})
}

func TestUntrustedFiles(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "push.conf")
	tests := map[string]struct {
		do   func()
		want string
	}{
		"writable by the group": {func() { rig.Must(t, os.Chmod(config, 0o664)) }, "others may write it"},
		"writable by all":       {func() { rig.Must(t, os.Chmod(config, 0o646)) }, "others may write it"},
		"none":                  {func() { rig.Must(t, os.Remove(config)) }, "is not there"},
		"a folder":              {func() { rig.Must(t, os.Remove(config)); rig.Must(t, os.Mkdir(config, 0o755)) }, "not a file"},
		"huge":                  {func() { rig.Must(t, os.Truncate(config, 65537)) }, "longer than 65536 bytes"},
		"endless":               {func() { rig.Must(t, os.Truncate(config, 1<<40)) }, "longer than 65536 bytes"},
		"a foreigner's":         {func() { rig.Must(t, os.Chown(config, 65534, 65534)) }, "belongs to another user"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if strings.HasSuffix(name, "'s") && os.Geteuid() != 0 {
				t.Skip("needs the superuser")
			}
			rig.Write(t, config, "gateway gate.example.com\n", 0o644)
			defer os.RemoveAll(config)
			test.do()
			_, err := readConfig(config)
			if f, ok := err.(*Failure); !ok || f.Status != sysexits.Config || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
