package command

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records"
)

func TestWords(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow --acme a.example.com")
	c.play([]step{
		{"", 64, "badcmd no command; try: help"},
		{" \t ", 64, "badcmd no command; try: help"},
		{"frob", 64, `badcmd there is no command "frob"; try: help`},
		{"Update", 64, `badcmd there is no command "Update"; try: help`},
		{"status", 64, `badcmd there is no command "status"; try: help`},
		{"\tversion ", 0, "dnsgate v1"},
		{"version\n", 64, "badcmd byte 8 is not printable ASCII"},
		{"version\x00", 64, "badcmd byte 8 is not printable ASCII"},
		{"versi\u00f6n", 64, "badcmd byte 6 is not printable ASCII: U+00F6"},
		{"update b\u00fccher.example 192.0.2.1", 64, "badcmd byte 9 is not printable ASCII: U+00FC; write xn--bcher-kva.example"},
		{"update b\xfccher.example 192.0.2.1", 64, "badcmd byte 9 is not printable ASCII"},
		{"update \x7f", 64, "badcmd byte 8 is not printable ASCII"},
		{"version 1", 64, "badcmd version takes no words"},
		{"help 1", 64, "badcmd help takes no words"},
		{"whoami 1", 64, "badcmd whoami takes no words"},
		{"list home", 65, "notfqdn ..."},
		{"list b.example.com", 77, "nohost b.example.com is not this key's"},
		{"list --json", 65, "notfqdn ..."},
		{"history a.example.com a.example.com", 0, ""},
		{"history a.example.com c.example.com", 64, "badcmd history takes one host, or none for all"},
		{"history b.example.com", 77, "nohost b.example.com is not this key's"},
		{"offline --4", 64, `badcmd there is no option "--4" here; try: help`},
		{"offline 192.0.2.1", 65, "notfqdn ..."},
		{strings.Repeat("x", maxLine), 64, `badcmd there is no command "xxx...xxx..."; try: help`},
		{strings.Repeat("x", maxLine+1), 64, "badcmd longer than 4096 bytes"},
	})
	for _, forbidden := range forbidden {
		c.expect(64, "update "+string(forbidden), "badcmd character 8, ..., has no place in a command; there is no quoting")
	}
}

func TestAdminWords(t *testing.T) {
	g, _ := newGateway(t)
	newClient(t, g, "admin").play([]step{
		{"update a.example.com 192.0.2.1", 77, "nohost this key runs the admin commands and updates nothing"},
		{"list", 64, `badcmd there is no command "list"; try: help`},
		{"acme add a.example.com x", 64, `badcmd there is no command "acme"; try: help`},
		{"status x", 64, "badcmd too many words; try: help"},
		{"keys x", 64, "badcmd too many words; try: help"},
		{"hosts x y", 64, "badcmd too many words; try: help"},
		{"hosts -x", 64, `badcmd there is no option "-x" here; try: help`},
		{"history x.example.com y.example.com", 64, "badcmd too many words; try: help"},
		{"history x", 65, "notfqdn ..."},
		{"offline", 64, "badcmd offline takes one host"},
		{"offline x", 65, "notfqdn ..."},
		{"offline never.example.com", 77, "nohost there is no host never.example.com"},
		{"metrics x", 64, "badcmd metrics takes no words"},
		{"backup x", 64, "badcmd backup takes no words"},
		{"reload x", 64, "badcmd reload takes no words"},
		{"rebuild x", 64, "badcmd rebuild takes no words"},
		{"hosts", 0, ""},
		{"history", 0, ""},
		{"hosts --json", 0, "[]"},
		{"history --json", 0, "[]"},
		{"keys --json", 0, "[]"},
		{"reload", 0, "reloaded"},
		{"rebuild", 0, "rebuilt"},
	})
}

// TestEveryVerbIsInHelp keeps the help whole, and within a terminal.
func TestEveryVerbIsInHelp(t *testing.T) {
	for _, v := range verbs {
		for _, role := range []role{allowKey, adminKey} {
			if got := strings.Contains(usage(role), "  "+v.name+" "); got != (find(v.name, role) != nil) {
				t.Errorf("%q in the help of %d: %v", v.name, role, got)
			}
		}
	}
	for line := range strings.Lines(usage(allowKey) + usage(adminKey)) {
		if len(line) > 120 {
			t.Errorf("too long: %q", line)
		}
	}
}

func TestAdminFailures(t *testing.T) {
	g, p := newGateway(t)
	reloaded := errors.New("not reloaded, all stays as it was: dnsgate.toml:3: no good\nand 2 more")
	g.Reload = func(context.Context) ([]string, error) { return []string{"listen", "tinydns.root"}, reloaded }
	p.wait = func(context.Context) error { return errors.New("tinydns: data:7: what is OK?") }
	newClient(t, g, "admin").play([]step{
		{"reload", 75, "911 not reloaded, all stays as it was: dnsgate.toml:3: no ***?and 2 more"},
		{"rebuild", 75, "dnserr tinydns: data:7: what is ***?; the gateway goes on trying"},
	})
	reloaded = nil
	newClient(t, g, "admin").play([]step{{"reload", 0, "reloaded, but these need a restart: listen, tinydns.root"}})
}

// TestStop: from then on everything is 911.
func TestStop(t *testing.T) {
	g, _ := newGateway(t)
	user, admin := newClient(t, g, "allow a.example.com"), newClient(t, g, "admin")
	g.drain.begin()
	for _, line := range []string{"update 192.0.2.1", "list", "help", "acme", "nonsense"} {
		user.expect(75, line, "911 the gateway is stopping; try again in a minute")
	}
	for _, line := range []string{"status", "backup"} {
		admin.expect(75, line, "911 the gateway is stopping; try again in a minute")
	}
}

// TestGrantIsAskedEachTime: a key that is gone meanwhile runs nothing.
func TestGrantIsAskedEachTime(t *testing.T) {
	g, _ := newGateway(t)
	var out, stderr strings.Builder
	s := &Session{Grant: func() (authkeys.Grant, error) { return authkeys.Grant{}, authkeys.ErrUnknown }}
	if status := g.Run(context.Background(), s, Parse("help"), Streams{In: strings.NewReader(""), Out: &out, Err: &stderr}); status != 77 {
		t.Errorf("exit status %d", status)
	}
	if want := "nohost the key is not authorized\n"; out.String() != want || stderr.String() != want {
		t.Errorf("%q and %q", out.String(), stderr.String())
	}
}

// TestPanic: a bug ends the command that meets it, and no other.
func TestPanic(t *testing.T) {
	g, p := newGateway(t)
	var log bytes.Buffer
	g.Log = slog.New(slog.NewTextHandler(&log, nil))
	c := newClient(t, g, "allow a.example.com b.example.com")
	const bug = "911 the gateway met a bug, and its log says more; please tell its operator"

	g.TTL = func() uint32 { panic("of the TTL") }
	c.expect(70, "update 192.0.2.1", bug)
	c.in = strings.NewReader("192.0.2.1\nnonsense\n")
	c.expect(70, "update -", bug, "notfqdn ...")
	g.TTL = func() uint32 { return 300 }

	p.wait = func(context.Context) error { panic("of a publisher") }
	c.in = strings.NewReader("a.example.com 192.0.2.1\nb.example.com 192.0.2.1\n")
	c.expect(70, "update -", bug, bug)
	c.expect(70, "offline", bug)
	p.wait = nil
	c.in = nil
	c.expect(0, "list") // offline was stored

	for _, want := range []string{"of the TTL", "of a publisher", "transact.go", "level=ERROR"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not tell %q", want)
		}
	}
}

// TestLog: one record a command, and nothing that could forge another.
func TestLog(t *testing.T) {
	g, _ := newGateway(t)
	var log bytes.Buffer
	g.Log = slog.New(slog.NewTextHandler(&log, nil))
	c := newClient(t, g, "allow a.example.com b.example.com")
	c.grant.Comment = "evil code=good"
	logged := func(line string, status int, want string) {
		t.Helper()
		log.Reset()
		if _, got := c.run(line); got != status {
			t.Errorf("%q: exit status %d, want %d", line, got, status)
		}
		if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), want) {
			t.Errorf("%q: logged %q, want %q", line, log.String(), want)
		}
	}
	const key = ` key=SHA256:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx comment="evil code=good" source=203.0.113.1`
	logged("update a.example.com 192.0.2.1", 0, `msg=update command=update`+key+` hosts=a.example.com old=- new=192.0.2.1 code=good duration=`)
	logged("update a.example.com 192.0.2.1", 0, `old=192.0.2.1 new=192.0.2.1 code=nochg duration=`)
	logged("update --dry-run a.example.com 192.0.2.9", 0, key+` dry_run=true hosts=a.example.com old=192.0.2.1 new=192.0.2.9 code=good`)
	logged("update 192.0.2.1 2001:db8::1", 0, `hosts=a.example.com,b.example.com old=192.0.2.1 new=192.0.2.1,2001:db8::1,192.0.2.1,2001:db8::1 code=good`)
	logged("update c.example.com 192.0.2.1", 77, `why="c.example.com is not this key's" code=nohost`)
	logged("frob\nlevel=ERROR", 64, `line="frob\nlevel=ERROR" code=badcmd`)
	logged("update $(id)", 64, `msg=command command=unknown`+key+` why=`)
	logged("offline", 0, `msg=command command=offline`+key+` hosts=a.example.com,b.example.com old=192.0.2.1,2001:db8::1,192.0.2.1,2001:db8::1 new=- code=good`)
	logged("whoami", 0, `msg=command command=whoami`+key+` code=good`)
	c.in = strings.NewReader("192.0.2.1\n10.0.0.1\n")
	logged("update -", 65, `msg=update command=update`+key+` lines=2 worst=65 code=badaddr`)
}

func TestReadsInput(t *testing.T) {
	for line, want := range map[string]bool{
		"update -": true, "update --dry-run -": true, " update\t- ": true,
		"update": false, "-": false, "": false, "list -": false, "update - x": false,
		"update x -": false, "update --dry-run": false, "update -4 -": false, "update -\n": false, "frob -": false,
		"update" + strings.Repeat(" ", maxLine) + "-": false,
	} {
		if got := Parse(line).ReadsInput(); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestShell(t *testing.T) {
	g, _ := newGateway(t)
	for _, grant := range []string{"allow a.example.com", "admin"} {
		s := &Session{Grant: func() (authkeys.Grant, error) { return allow(t, grant), nil }}
		var out, stderr strings.Builder
		if status := g.Run(t.Context(), s, Shell(), Streams{Out: &out, Err: &stderr}); status != 64 || stderr.Len() > 0 {
			t.Errorf("exit status %d, stderr %q", status, stderr.String())
		}
		if out.String() != usage(roleOf(allow(t, grant))) {
			t.Errorf("said %q", out.String())
		}
	}
}

func TestACME(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow --acme --ttl=60 a.example.com *.w.example.com .lab.example.com")
	c.play([]step{
		{"acme add a.example.com one", 0, "good a.example.com"},
		{"acme add a.example.com two", 0, "good a.example.com"},
		{"acme add A.example.com. two", 0, "nochg a.example.com"},
		{"acme add _acme-challenge.a.example.com two", 0, "nochg a.example.com"},
		{"list", 0, "_acme-challenge.a.example.com. 60 IN TXT \"one\"\n_acme-challenge.a.example.com. 60 IN TXT \"two\""},
		{"acme del a.example.com one", 0, "good a.example.com"},
		{"acme del a.example.com one", 0, "nochg a.example.com"},
		{"acme del x.lab.example.com one", 0, "nochg x.lab.example.com"},
		{"acme add x.lab.example.com one", 0, "good x.lab.example.com"},
		{"acme add lab.example.com one", 77, "nohost lab.example.com is not this key's"},
		{"acme add w.example.com one", 77, "nohost w.example.com is not this key's"},
		{"acme add *.a.example.com one", 65, "notfqdn a wildcard is proven at its host: acme add a.example.com VALUE"},
		{"acme add a one", 65, "notfqdn ..."},
		{"acme add b.example.com one", 77, "nohost b.example.com is not this key's"},
		{"acme add a.example.com a,b", 64, "badcmd a TXT value may hold letters, digits and -_.=+/ only, not ','"},
		{"acme add a.example.com " + strings.Repeat("x", 256), 64, "badcmd a TXT value has 1 to 255 characters, this one 256"},
		{"acme add a.example.com", 64, "badcmd usage: acme add HOST VALUE, or acme del HOST VALUE"},
		{"acme add a.example.com one two", 64, "badcmd usage: ..."},
		{"acme set a.example.com one", 64, "badcmd usage: ..."},
	})
	history, _ := c.run("history a.example.com") // with a line for a refresh in another second, perhaps
	for _, want := range []string{" - one SHA256:", " one one,two SHA256:", " one,two two SHA256:"} {
		if !strings.Contains(history, "Z _acme-challenge.a.example.com"+want) {
			t.Errorf("no %q in the history:\n%s", want, history)
		}
	}
	long := strings.Repeat("a.", 116) + "lab.example.com" // no room for _acme-challenge.
	c.expect(65, "acme add "+long+" x", "notfqdn ...")
	for i := range records.MaxTexts - 1 {
		c.expect(0, "acme add a.example.com "+strings.Repeat("v", i+1), "good a.example.com")
	}
	c.expect(75, "acme add a.example.com more", "abuse _acme-challenge.a.example.com has 32 values already; ...")
	c.expect(0, "acme add a.example.com vv", "nochg a.example.com")
	newClient(t, g, "allow a.example.com").expect(77, "acme add a.example.com x", "nohost this key has no --acme, ...")

	hosts, err := g.Store.Hosts(c.ctx, []records.Name{"_acme-challenge.a.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range hosts[0].Records {
		if left := time.Until(time.Unix(r.Expires, 0)); left < 59*time.Minute || left > time.Hour {
			t.Errorf("%s leaves in %s, not in an hour", r.Text, left)
		}
	}
}
