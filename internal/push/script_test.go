package push

import (
	"regexp"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// differences are between two ways of saying the same.
var differences = regexp.MustCompile(`(?m)^.* cannot be reached: .*\n|^dnsgate([- ]push)?: |; dnsgate-push --help tells how$`)

func said(r rig.Result) string { return differences.ReplaceAllString(r.Stderr, "") }

// TestAsTheScript gives both the same files and arguments, and compares what
// they send, what they say and how they end.
func TestAsTheScript(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	file, empty, program := m.dir+"/addresses", m.dir+"/empty", m.dir+"/print"
	rig.Write(t, file, "203.0.113.7\n2001:db8::7 203.0.113.8", 0o644)
	rig.Write(t, empty, " \n", 0o644)
	rig.Write(t, m.dir+"/crlf", "203.0.113.7\r\n", 0o644)
	rig.Write(t, m.dir+"/nul", "203.0.113.7\x00", 0o644)
	rig.Write(t, m.dir+"/escape", "\x1b]0;x\x07", 0o644)
	rig.Write(t, m.dir+"/many", strings.Repeat("203.0.113.7 ", 17), 0o644)
	rig.Write(t, m.dir+"/long", strings.Repeat(" ", 4090)+"203.0.113.7", 0o644)
	rig.Write(t, program, "#!/bin/sh\nfor a; do echo \"$a\"; done\n", 0o755)
	rig.Write(t, m.dir+"/fail", "#!/bin/sh\necho 203.0.113.7; exit 3\n", 0o755)
	rig.Write(t, m.dir+"/text", "no program", 0o644)
	tests := []struct{ conf, args string }{
		{"", "203.0.113.7"}, {"", "203.0.113.7 2001:db8::7 203.0.113.8"}, {"", "peer"}, {"", "peer 203.0.113.7"}, {"", "2001:db8:1:2:3::4/56"},
		{"", "203.0.113"}, {"", "127.0.0.1"}, {"", "10.0.0.1"}, {"private yes", "10.0.0.1 fd00::1 100.64.0.1"}, {"", "203.0.113.7 0.0.0.0"},
		{"", strings.Repeat("192.0.2.1 ", 17)}, {"", "*"}, {"", "-4 203.0.113.7"}, {"family 6", "203.0.113.7"}, {"", "-4 -6 203.0.113.7 2001:db8::7"},
		{"", ""}, {"", "-4"}, {"", "-6"}, {"family 4", ""}, {"family 4", "-6"}, {"family 6", "-6"}, {"", "--peer"}, {"address argument", "--peer"},
		{"address argument", ""}, {"address argument", "--offer 203.0.113.7"}, {"address argument", "--offer 203.0.113.7 --offer 2001:db8::7 -6"}, {"address argument", "--offer peer -4"},
		{"address argument", "--offer 203.0.113"}, {"address argument", "203.0.113.9"}, {"address argument", "--offer 203.0.113.7 203.0.113.9"},
		{"address argument\naddress6 peer", "--offer 203.0.113.7"}, {"family 4\naddress argument", "203.0.113.7 2001:db8::7"}, {"family 4\naddress argument", "--offer 203.0.113.7 --offer 2001:db8::7"},
		{"address peer\nfamily 4", "--offer 203.0.113.7"},
		{"address argument", "--on eth0"}, {"address argument", "--on eth0 --offer 203.0.113.7"}, {"address argument", "--on eth0 -6 --offer peer"},
		{"address interface lo", "--on eth0"}, {"address interface lo", "--on lo"}, {"address peer", "--on eth0"}, {"address peer\nfamily 4", "--on eth0 -6"},
		{"address peer\naddress6 interface lo", "--on eth0"}, {"address interface lo\naddress6 peer", "--on eth0"}, {"address peer\nfamily 6\naddress6 interface lo", "--on eth0"},
		{"address interface nothere", ""}, {"address interface lo", "--interface nothere"}, {"", "--interface ../x"}, {"", "--on ../x"},
		{"address file " + file, ""}, {"address file " + empty, ""}, {"", "--file " + file}, {"", "--file relative"}, {"address peer\naddress6 file " + file, ""},
		{"address file " + m.dir + "/crlf", ""}, {"address file " + m.dir + "/nul", ""}, {"address file " + m.dir + "/escape", ""}, {"address file " + m.dir + "/many", ""},
		{"address file " + m.dir + "/long", ""}, {"address file " + m.dir + "/none", ""},
		{"address command " + program + " 203.0.113.7 2001:db8::7", ""}, {"address command " + program, ""}, {"address command " + program + " *", ""}, {"address6 command " + program + " 2001:db8::7", "-6"},
		{"address command " + m.dir + "/fail", ""}, {"address command " + m.dir + "/text", ""}, {"address command " + m.dir + "/none", ""},
		{"hosts home.example.com *.home.example.com\nhosts nas.example.com", "203.0.113.7"}, {"hosts home.example.com", "--host a.example.com --host *.b.example.com 203.0.113.7"},
		{"", "--host home 203.0.113.7"}, {"", "--host -x.example.com 203.0.113.7"},
		{"hosts home.example.com", "--offline"}, {"hosts home.example.com", "--offline -4"}, {"family 6", "--offline"}, {"", "--offline --on eth0"}, {"address interface lo", "--offline --on eth0"},
		{"", "--acme add home.example.com x"}, {"", "--acme del *.home.example.com. -x_y"}, {"", "--acme add _acme-challenge.home.example.com x"}, {"", "--acme put home.example.com x"},
		{"", "--acme add home x"}, {"", "--acme add home.example.com a'b"}, {"", "--acme add home.example.com " + strings.Repeat("x", 256)}, {"", "--acme add home.example.com"},
		{"acme_alias home.example.com x.acme.example.net", "--acme add *.HOME.example.com. x"}, {"acme_alias home.example.com x.acme.example.net", "--acme del nas.example.com x"},
		{"acme_alias _acme-challenge.home.example.com. _acme-challenge.x.example.net.", "--acme add home.example.com x"},
		{"", "--acme add -- home.example.com x"}, {"", "--acme add -- --offline x"}, {"", "-- 203.0.113.7"}, {"", "--"},
		{"", "--host --offline 203.0.113.7"}, {"", "--offer --offline 203.0.113.7"}, {"hosts home.example.com,nas.example.com.", "--offline"}, {"", "--host home.example.com. 203.0.113.7"},
		{"", "203.0.113.7<blank>203.0.113.8"}, {"", "--offer 203.0.113.7<newline>--offline"}, {"address argument", "--offer 203.0.113.7<blank>203.0.113.8"}, {"", "--host home.example.com<blank>x.example.com 203.0.113.7"},
		{"", "- 203.0.113.7"}, {"", "--"}, {"", "-- --offline"}, {"", "-- -4"}, {"", "-- -- 203.0.113.7"}, {"", "203.0.113.7 --offline"}, {"", "203.0.113.7 -- --offline"}, {"", "203.0.113.7 --"}, {"", "-4 -- 203.0.113.7 -6"},
		{"", "--offline --"}, {"", "--offline -- 203.0.113.7"}, {"", "--retry -- 203.0.113.7"}, {"", "--host -- 203.0.113.7"}, {"", "--on -- 203.0.113.7"}, {"", "--interface --"}, {"", "--file --"}, {"", "--config --"},
		{"", "--acme -- add home.example.com x"}, {"", "--acme add home.example.com -- x"}, {"", "--acme add home.example.com --"}, {"", "--acme add -- home.example.com --offline"}, {"", "--acme add -- home.example.com --"},
		{"", "--acme add home.example.com x --retry 0"}, {"", "--acme add home.example.com x 203.0.113.7"}, {"", "--acme add --"}, {"", "--acme add -- -4 x"}, {"", "--acme add --offline x"},
		{"", "--host home.example.com,nas.example.com. 203.0.113.7"}, {"", "--host , 203.0.113.7"}, {"", "--host *.home.example.com.,, 203.0.113.7"},
		{"gateway gate.example.com", "--offline"},
		{"", "--dry-run 203.0.113.7"}, {"hosts home.example.com", "--dry-run -4"}, {"", "--retry soon"}, {"", "--retry 86401"}, {"", "--retry 0 203.0.113.7"},
		{"hosts " + strings.Repeat("a.example.com ", 60) + "\nhosts " + strings.Repeat("a.example.com ", 41), "203.0.113.7"},
	}
	for _, test := range tests {
		m.configure(t, "port 1", test.conf)
		args := append([]string{"-v"}, strings.Fields(test.args)...)
		for i := range args {
			args[i] = strings.NewReplacer("<blank>", " ", "<newline>", "\n").Replace(args[i])
		}
		ours, script := m.push(t, args...), m.script(t, args...)
		if ours.Status != script.Status || ours.Sent() != script.Sent() || said(ours) != said(script) {
			t.Errorf("%s, with %q:\nwe end with %d, and say\n%s\nthe script ends with %d, and says\n%s", test.args, test.conf, ours.Status, ours.Stderr, script.Status, script.Stderr)
		}
	}
}
