package authkeys

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/records"
)

func TestAccepted(t *testing.T) {
	for _, test := range []struct {
		line string
		want Grant
	}{
		{
			`command="dnsgate allow home.example.com nas.example.com" ` + keyA + ` router`,
			Grant{Comment: "router", Hosts: []records.Name{"home.example.com", "nas.example.com"}},
		},
		{
			`restrict,command="dnsgate allow --ttl=60 --acme laptop.example.com",from="198.51.100.0/24" ` + keyA + ` laptop`,
			Grant{
				Comment: "laptop", Hosts: []records.Name{"laptop.example.com"},
				HasTTL: true, TTL: 60, ACME: true, From: "198.51.100.0/24",
			},
		},
		{
			`command="dnsgate allow .lab.example.com",expiry-time="20271231Z" ` + generate(t, "ecdsa256") + ` dhcp server`,
			Grant{
				Comment: "dhcp server", Suffixes: []records.Name{"lab.example.com"},
				Expires: time.Date(2027, 12, 31, 0, 0, 0, 0, time.UTC),
			},
		},
		{
			`command="dnsgate admin" ` + skEd25519() + ` operator`,
			Grant{Comment: "operator", Admin: true},
		},
		{
			`no-touch-required,command="dnsgate admin" ` + skECDSA(t),
			Grant{Admin: true, NoTouchRequired: true},
		},
		{
			` 	COMMAND="	dnsgate	allow  *.Home.Example.COM. --ttl=2147483647 --address=match --private --lease=90m --read-only ",,No-PTY,` + " \t" + keyA + "  a  comment \t\r",
			Grant{
				Comment: "a  comment", Hosts: []records.Name{"*.home.example.com"}, HasTTL: true, TTL: MaxTTL,
				Address: MatchAddress, Private: true, Lease: 90 * time.Minute, ReadOnly: true,
			},
		},
		{
			`no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-pty,no-user-rc,no-verify-required,restrict,command="dnsgate allow --ttl=0 --address=peer --lease=1 .b.c a.b.c" ` + keyA + " caf\u00e9\x01\xff",
			Grant{
				Comment: "caf\u00e9\ufffd\ufffd", Hosts: []records.Name{"a.b.c"}, Suffixes: []records.Name{"b.c"},
				HasTTL: true, Address: PeerAddress, Lease: time.Second,
			},
		},
		{header + generate(t, "rsa2048"), Grant{Hosts: []records.Name{"home.example.com"}}},
		{header + generate(t, "ecdsa384"), Grant{Hosts: []records.Name{"home.example.com"}}},
		{header + generate(t, "ecdsa521"), Grant{Hosts: []records.Name{"home.example.com"}}},
	} {
		set, faults := Parse("authorized_keys", []byte("\n#\n"+test.line+"\n"), testNow)
		if len(faults) > 0 || len(set.Grants()) != 1 {
			t.Errorf("%s\n%v", test.line, faults)
			continue
		}
		got := set.Grants()[0]
		if got.Line != 3 || !strings.HasPrefix(got.Fingerprint, "SHA256:") {
			t.Errorf("%s\nline %d, fingerprint %q", test.line, got.Line, got.Fingerprint)
		}
		got.Line, got.Fingerprint, got.sources = 0, "", nil
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", test.line, got, test.want)
		}
	}
}

func TestRefused(t *testing.T) {
	allow := func(words string) string { return `command="dnsgate allow ` + words + `" ` + keyA }
	for _, test := range []struct{ line, why string }{
		{keyA, "no forced command"},
		{`restrict ` + keyA, "no forced command"},
		{`command="" ` + keyA, `the command "" is none of`},
		{`command="dnsgate" ` + keyA, `the command "dnsgate" is none of`},
		{`command="/usr/bin/dnsgate allow a.b" ` + keyA, `the command "/usr/bin/dnsgate allow a.b" is none of`},
		{`command="dnsgate serve" ` + keyA, `"dnsgate serve" is not a forced command`},
		{`command="dnsgate allow \"a.b\"" ` + keyA, `not a fully qualified hostname`},
		{`command="dnsgate admin now" ` + keyA, `takes no arguments`},
		{`command "dnsgate admin" ` + keyA, `the option command needs a value`},

		{allow(""), "names no host"},
		{allow("--private"), "names no host"},
		{allow("host"), "it has no domain"},
		{allow("a_b.example.com"), "may not stand in a hostname"},
		{allow("_acme-challenge.example.com"), "may not stand in a hostname"},
		{allow("*.*.example.com"), "may not stand in a hostname"},
		{allow(".*.example.com"), "may not stand in a hostname"},
		{allow("..example.com"), "empty label"},
		{allow(".com"), "it has no domain"},
		{allow("192.0.2.1"), "last label is a number"},
		{allow("a.b A.B."), "the host a.b is there twice"},
		{allow(".a.b .a.b"), "the host .a.b is there twice"},
		{allow("--ttl 60 a.b"), "--ttl=VALUE"},
		{allow("--ttl= a.b"), "not a number of seconds"},
		{allow("--ttl=-1 a.b"), "not a number of seconds"},
		{allow("--ttl=2147483648 a.b"), "not a number of seconds"},
		{allow("--ttl=1h a.b"), "not a number of seconds"},
		{allow("--ttl=1 --ttl=1 a.b"), "--ttl is there twice"},
		{allow("--acme --acme a.b"), "--acme is there twice"},
		{allow("--acme=yes a.b"), "--acme takes no value"},
		{allow("--address=none a.b"), "none of any, peer and match"},
		{allow("--address a.b"), "--address=VALUE"},
		{allow("--lease=0 a.b"), `"--lease=0" is not a duration`},
		{allow("--lease=-5m a.b"), "is not a duration"},
		{allow("--lease=1500ms a.b"), "is not a duration"},
		{allow("--lease=99999999999999999999 a.b"), "is not a duration"},
		{allow("--lease=87601h a.b"), "is not a duration"},
		{allow("--TTL=60 a.b"), `unknown flag "--TTL"`},
		{allow("-x a.b"), `unknown flag "-x"`},
		{allow("-- a.b"), `unknown flag "--"`},
		{allow(strings.Repeat("a.b ", MaxHosts+1)), "more than 10000 hosts"},

		{`environment="A=b",` + header + keyA, "environment is not supported"},
		{`permitopen="a:1",` + header + keyA, "permitopen is not supported"},
		{`tunnel="0",` + header + keyA, "tunnel is not supported"},
		{`verify-required,` + header + keyA, "verify-required is not supported"},
		{`cert-authority,command="dnsgate admin" ` + keyA, "cert-authority goes with dnsgate allow alone"},
		{`cert-authority,command="dnsgate monitor" ` + keyA, "cert-authority goes with dnsgate allow alone"},
		{`cert-authority="x",` + header + keyA, "the option cert-authority takes no value"},
		{`cert-authority,cert-authority,` + header + keyA, "cert-authority is there twice"},
		{`cert-authority,principals="a",` + header + keyA, "principals is not supported: a certificate may update"},
		{`pty,` + header + keyA, "pty is not supported"},
		{`no-restrict,` + header + keyA, `unknown option "no-restrict"`},
		{`no-everything,` + header + keyA, `unknown option "no-everything"`},
		{`sesame,` + header + keyA, `unknown option "sesame"`},
		{`restrict,RESTRICT,` + header + keyA, "restrict is there twice"},
		{`command="dnsgate admin",` + header + keyA, "command is there twice"},
		{`restrict=yes,` + header + keyA, "not in double quotes"},
		{`restrict="yes",` + header + keyA, "restrict takes no value"},
		{`="yes",` + header + keyA, `unknown option ""`},
		{`command=dnsgate ` + keyA, "not in double quotes"},
		{`command="dnsgate admin ` + keyA, "a quote is not closed"},
		{`command="dnsgate admin\" ` + keyA, "a quote is not closed"},
		{`command="dnsgate admin"restrict ` + keyA, "a comma is missing"},
		{`restrict, ` + header + keyA, "only a comma may stand before it"},
		{`no-touch-required,` + header + keyA, "for security keys"},
		{`command,` + header + keyA, "command needs a value"},

		{`from="*.example.com",` + header + keyA, "is a hostname"},
		{`from="home",` + header + keyA, "is a hostname"},
		{`from="cafe",` + header + keyA, "is a hostname"},
		{`from="!localhost,127.0.0.1",` + header + keyA, "is a hostname"},
		{`from="10.0.0.1, 10.0.0.2",` + header + keyA, "there is a space"},
		{`from="10.0.0",` + header + keyA, "is not an address"},
		{`from="10.0.0.0/33",` + header + keyA, "is not a network"},
		{`from="fe80::1%eth0",` + header + keyA, "without a zone"},
		{`from="::ffff:10.0.0.1",` + header + keyA, "an IPv4 address as such"},
		{`from="::ffff:10.0.0.0/104",` + header + keyA, "as such"},
		{`from="::12345",` + header + keyA, "is not an address"},
		{`from="10.0.0.1",from="10.0.0.2",` + header + keyA, "from is there twice"},

		{`expiry-time="",` + header + keyA, "not a date"},
		{`expiry-time="Z",` + header + keyA, "not a date"},
		{`expiry-time="2027",` + header + keyA, "not a date"},
		{`expiry-time="20270231",` + header + keyA, "not a date"},
		{`expiry-time="202702282400",` + header + keyA, "not a date"},
		{`expiry-time="20270228235960",` + header + keyA, "not a date"},
		{`expiry-time="2027-02-28",` + header + keyA, "not a date"},
		{`expiry-time="19690101",` + header + keyA, "not a date"},
		{`expiry-time="20270228ZZ",` + header + keyA, "not a date"},
		{`expiry-time="20270101",expiry-time="20270101",` + header + keyA, "expiry-time is there twice"},

		{header, "there is no key"},
		{header + "ssh-ed25519", "there is no key"},
		{header + "ssh-ed25519 AAAA", "the key is damaged"},
		{header + "ssh-ed25519 AAAA!", "base64"},
		{header + keyA[:len(keyA)-1], "base64"},
		{header + keyA + "AAAA", "the key is damaged"},
		{header + strings.Replace(keyA, "ssh-ed25519", "ssh-rsa", 1), "the key is ssh-ed25519, but the line says ssh-rsa"},
		{header + strings.Replace(keyA, "ssh-ed25519", "SSH-ED25519", 1), "unknown key type"},
		{header + generate(t, "rsa1024"), "has 1024 bits"},
		{header + wireText("ssh-dss", []byte{1}), "DSA keys are too weak"},
		{header + wireText("ssh-ed25519-cert-v01@openssh.com", []byte{1}), "certificates are not accepted"},
		{header + wireText("ssh-mldsa-44", make([]byte, 1312)), "unknown key type"},
		{header + wireText("sk-ssh-ed25519@openssh.com", make([]byte, 31), []byte("ssh:")), "the key is damaged"},
		{"ssh-ed25519 nonsense!", "base64"},
		{"ssh-dss " + "AAAA", "DSA keys are too weak"},

		{"\ufeff" + header + keyA, "byte order mark"},
		{header + keyA + " a\x00b", "NUL byte"},
		{header + keyA + " " + strings.Repeat("x", MaxLine), "longer than 65536 bytes"},
	} {
		set, faults := Parse("keys", []byte("# first\n"+test.line+"\n"+header+keyB), testNow)
		if len(faults) != 1 || faults[0].Warning || faults[0].Line != 2 || !strings.Contains(faults[0].Msg, test.why) {
			t.Errorf("%.200q\nfaults %.300q, want %q", test.line, faults, test.why)
		}
		if len(set.Grants()) != 1 || set.Grants()[0].Line != 3 {
			t.Errorf("%.200q\nthe other line does not work: %v", test.line, set.Grants())
		}
	}
}

func TestDequote(t *testing.T) {
	for _, test := range []struct{ text, value, rest, why string }{
		{`"",x`, ``, `,x`, ""},
		{`"a\"b\\"",c"`, `a"b\"`, `,c"`, ""},
		{`"a\n\\n"`, `a\n\\n`, ``, ""},
		{`a"`, "", "", "not in double quotes"},
		{``, "", "", "not in double quotes"},
		{`"a\"`, "", "", "not closed"},
	} {
		value, rest, err := dequote(test.text)
		if value != test.value || rest != test.rest || (err == nil) != (test.why == "") || err != nil && !strings.Contains(err.Error(), test.why) {
			t.Errorf("%s: %q %q %v", test.text, value, rest, err)
		}
	}
}

func TestSameKeyTwice(t *testing.T) {
	content := strings.Join([]string{
		`sesame ` + keyA,
		`command="dnsgate allow a.example.com" ` + keyA,
		`command="dnsgate allow b.example.com" ` + keyA,
		header + keyB,
	}, "\r\n")
	set, faults := Parse("dir/authorized_keys", []byte(content), testNow)
	var got []string
	for _, f := range faults {
		got = append(got, f.String())
	}
	want := []string{
		`dir/authorized_keys:1: unknown option "sesame"`,
		`dir/authorized_keys:3: the same key as in line 2`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("faults %q, want %q", got, want)
	}
	if n := len(set.Grants()); n != 2 || set.Grants()[0].Hosts[0] != "a.example.com" {
		t.Errorf("%d grants: %+v", n, set.Grants())
	}
}

func TestWarnings(t *testing.T) {
	for _, test := range []struct{ options, why string }{
		{`from="10.0.0.1/8"`, "10.0.0.1/8 has bits set behind its length; the network is 10.0.0.0/8"},
		{`from="192.0.2.1,2001:db8::1/32"`, "2001:db8::1/32 has bits set"},
		{`from=""`, "an element of the list is empty"},
		{`from="192.0.2.1,"`, "an element of the list is empty"},
		{`from="!"`, "an element of the list is empty"},
		{`from="!192.0.2.1,!10.0.0.0/8"`, "everything in it is negated"},
		{`from="192.0.2.1,!*"`, "negates everything"},
		{`from="192.0.2.0/24,!192.0.2.0/25,!192.0.2.128/25"`, "what it lets in is negated"},
		{`from="192.0.2.1,!192.0.0.0/16"`, "what it lets in is negated"},
		{`from="300.*"`, "no address looks so"},
		{`from="1.2.?"`, "no address looks so"},
		{`from="1.2.3.4.*"`, "no address looks so"},
		{`from="12345:*"`, "no address looks so"},
		{`expiry-time="20261121115959Z"`, "the key expired at 2026-11-21T11:59:59Z"},
		{`from="192.0.2.0/24,!192.0.2.0/25"`, ""},
		{`from="192.0.2.*,!192.0.2.1"`, ""},
		{`from="fe80*"`, ""},
		{`from="2001:db8:*::?"`, ""},
		{`from="!10.0.0.1,*"`, ""},
		{`expiry-time="20261121120000Z"`, ""},
	} {
		set, faults := Parse("keys", []byte(test.options+","+header+keyA), testNow)
		if len(set.Grants()) != 1 {
			t.Errorf("%s: refused: %v", test.options, faults)
		}
		switch {
		case test.why == "" && len(faults) > 0:
			t.Errorf("%s: %v", test.options, faults)
		case test.why != "" && (len(faults) != 1 || !faults[0].Warning || !strings.Contains(faults[0].Msg, test.why)):
			t.Errorf("%s: %v, want %q", test.options, faults, test.why)
		}
	}
}

func TestManyFaults(t *testing.T) {
	_, faults := Parse("keys", bytes.Repeat([]byte("x\n"), 5000), testNow)
	if len(faults) != maxProblems+1 {
		t.Errorf("%d faults", len(faults))
	}
	if last := faults[maxProblems].String(); last != "keys:5000: and 4000 more lines with faults" {
		t.Error(last)
	}
}

// TestKeygenReadsOurs has ssh-keygen read a file with every kind of key, in the
// form that FormatLine writes.
func TestKeygenReadsOurs(t *testing.T) {
	keygen := needs(t, "ssh-keygen")
	var content strings.Builder
	for i, key := range []string{
		keyA, generate(t, "rsa2048"), generate(t, "ecdsa256"), generate(t, "ecdsa384"),
		generate(t, "ecdsa521"), skEd25519(), skECDSA(t),
	} {
		g := Grant{
			Hosts: []records.Name{"a.example.com", "*.b.example.com"}, Suffixes: []records.Name{"c.example.com"},
			HasTTL: true, TTL: uint32(i), Lease: time.Hour, From: "192.0.2.0/24,!192.0.2.1",
			Expires: testNow, Comment: "a comment",
		}
		content.WriteString(FormatLine(g, mustKey(t, key)) + "\n")
	}
	path := filepath.Join(t.TempDir(), "authorized_keys")
	must(t, os.WriteFile(path, []byte(content.String()), 0o644))
	out, err := exec.Command(keygen, "-lf", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	set, faults := Parse(path, []byte(content.String()), testNow)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(set.Grants()) {
		t.Fatalf("ssh-keygen reads %d keys, we %d:\n%s", len(lines), len(set.Grants()), out)
	}
	for i, g := range set.Grants() {
		if !strings.Contains(lines[i], g.Fingerprint+" "+g.Comment+" (") {
			t.Errorf("ssh-keygen reads %s, we %s %s", lines[i], g.Fingerprint, g.Comment)
		}
	}
}

func TestCovers(t *testing.T) {
	g, err := ParseCommand("dnsgate allow home.example.com *.wild.example.com .lab.example.com")
	must(t, err)
	for name, want := range map[string]bool{
		"home.example.com":                  true,
		"*.home.example.com":                false,
		"x.home.example.com":                false,
		"*.wild.example.com":                true,
		"wild.example.com":                  false,
		"x.wild.example.com":                false,
		"lab.example.com":                   false,
		"x.lab.example.com":                 true,
		"y.x.lab.example.com":               true,
		"*.lab.example.com":                 false,
		"*.x.lab.example.com":               false,
		"xlab.example.com":                  false,
		"_acme-challenge.home.example.com":  false,
		"_acme-challenge.x.lab.example.com": false,
		"example.com":                       false,
	} {
		parsed, err := records.ParseStored(name)
		must(t, err)
		if g.Covers(parsed) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	if (Grant{Admin: true}).Covers("home.example.com") {
		t.Error("an admin key covers a host")
	}
}

func TestRestrictions(t *testing.T) {
	g := Grant{}
	if got := g.Restrictions(); got != "none" {
		t.Error(got)
	}
	g, err := parseOptions(`command="dnsgate allow --ttl=60 --address=peer --private --acme --lease=1h --read-only a.b",from="10.0.0.0/8",expiry-time="20270101Z"`)
	must(t, err)
	want := "read-only, ttl 60, only the connection's own address, private addresses allowed, acme allowed, lease 1h0m0s, from 10.0.0.0/8, expires 2027-01-01T00:00:00Z"
	if got := g.Restrictions(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
