package command

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records/boltstore"
)

func decode[T any](t *testing.T, c *client, line string) T {
	t.Helper()
	out, status := c.run(line)
	var v T
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil || status != 0 {
		t.Fatalf("%s: %d, %v in %s", line, status, err, out)
	}
	return v
}

func TestStatus(t *testing.T) {
	g, _ := newGateway(t)
	g.Keys = func() ([]authkeys.Grant, []authkeys.Problem) {
		return []authkeys.Grant{allow(t, "allow --ttl=5 a.example.com .b.example.com"), allow(t, "admin")},
			[]authkeys.Problem{{File: "authorized_keys", Line: 3, Msg: "no"}}
	}
	g.Connections = func() Connections {
		return Connections{Unauthenticated: 1, Authenticated: 2, Sessions: 3, Accepted: 4, Refused: 5}
	}
	newClient(t, g, "allow a.example.com").expect(0, "update 192.0.2.1", "good 192.0.2.1 a.example.com")
	admin := newClient(t, g, "admin")
	admin.expect(0, "status", "dnsgate v1, up ...s", "store: revision 1, 1 hosts", "keys: 2, 1 lines refused or of no use",
		"  authorized_keys:3: no", "connections: 3, 1 not logged in, 3 sessions; 4 accepted, 5 refused",
		"publisher test: revision 0 (1 behind), 0 hosts pending, 0 rounds, 0 failed, last took 0s",
		"  last error (...): it is down", "  next try: 2027-01-15T08:00:00Z")
	st := decode[Status](t, admin, "status --json")
	if st.Revision != 1 || st.Hosts != 1 || st.Keys != 2 || len(st.Refused) != 1 || st.Connections.Refused != 5 ||
		len(st.Publishers) != 1 || st.Publishers[0].Name != "test" || st.Publishers[0].LastError != "it is\ndown" {
		t.Errorf("%+v", st)
	}
	admin.expect(0, "keys", `SHA256:... "test" a.example.com .b.example.com; restrictions: ttl 5`,
		`SHA256:... "test" (admin); restrictions: none`, "authorized_keys:3: no")
}

func TestHosts(t *testing.T) {
	g, _ := newGateway(t)
	user := newClient(t, g, "allow --lease=1h --ttl=60 a.example.com *.a.example.com b.example.org")
	user.run("update 192.0.2.1 2001:db8::1")
	admin := newClient(t, g, "admin")
	admin.expect(0, "hosts *.a.*", "*.a.example.com. 60 IN A 192.0.2.1", "*.a.example.com. 60 IN AAAA 2001:db8::1")
	admin.expect(0, "hosts ?.example.ORG", "b.example.org. 60 IN A 192.0.2.1", "b.example.org. 60 IN AAAA 2001:db8::1")
	admin.expect(0, "hosts b", []string{}...)
	hosts := decode[[]jsonHost](t, admin, "hosts --json *org")
	if len(hosts) != 1 || hosts[0].Name != "b.example.org" || hosts[0].TTL != 60 || hosts[0].Revision != 1 ||
		len(hosts[0].Records) != 2 || hosts[0].Records[1].Type != "AAAA" || hosts[0].Records[1].Expires == nil {
		t.Errorf("%+v", hosts)
	}
}

// TestHistory: the last hundred changes, oldest first, and only those of the
// key's names.
func TestHistory(t *testing.T) {
	g, _ := newGateway(t)
	a, b := newClient(t, g, "allow a.example.com"), newClient(t, g, "allow b.example.com")
	suffix := newClient(t, g, "allow .example.com")
	for i := range maxHistory + 5 {
		a.run(fmt.Sprintf("update 192.0.2.%d", i))
	}
	b.expect(0, "update 192.0.2.1", "good 192.0.2.1 b.example.com")
	b.expect(0, "offline", "good - b.example.com")
	b.expect(0, "history", "...Z b.example.com - 192.0.2.1 SHA256:... 203.0.113.1", "...Z b.example.com 192.0.2.1 - SHA256:... 203.0.113.1")
	for _, c := range []*client{a, suffix, newClient(t, g, "admin")} {
		out, status := c.run("history")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if status != 0 || len(lines) != maxHistory {
			t.Errorf("%d lines of history, want %d", len(lines), maxHistory)
		}
	}
	out, _ := a.run("history a.example.com")
	if !strings.HasPrefix(out[strings.Index(out, " "):], " a.example.com 192.0.2.4 192.0.2.5 ") || !strings.Contains(out, " 192.0.2.104 SHA256:") {
		t.Errorf("not the last ones:\n%s", out)
	}
	newClient(t, g, "allow c.example.com").expect(0, "history", []string{}...)

	type change struct {
		Revision                          uint64
		Time, Host, Old, New, Key, Source string
		TTL                               uint32
	}
	changes := decode[[]change](t, newClient(t, g, "admin"), "history --json b.example.com")
	if len(changes) != 2 || changes[1].Old != "192.0.2.1" || changes[1].New != "-" || changes[1].Source != "203.0.113.1" {
		t.Errorf("%+v", changes)
	}
}

// TestBackup: what backup writes, Restore reads, and it is the same store.
func TestBackup(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow --acme a.example.com b.example.com")
	c.run("update 192.0.2.1 2001:db8::1")
	c.run("acme add a.example.com token")
	c.run("offline b.example.com")
	admin := newClient(t, g, "admin")
	backup, status := admin.run("backup")
	if status != 0 {
		t.Fatalf("exit status %d", status)
	}
	dir := t.TempDir()
	if err := boltstore.Restore(dir, strings.NewReader(backup)); err != nil {
		t.Fatal(err)
	}
	store, err := boltstore.Open(dir, g.Log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	hosts, _ := admin.run("hosts --json")
	g.Store = store
	if again, _ := admin.run("backup"); again != backup {
		t.Errorf("the backup of what was restored is\n%s\nwant\n%s", again, backup)
	}
	if again, _ := admin.run("hosts --json"); again != hosts {
		t.Errorf("the hosts that were restored are\n%s\nwant\n%s", again, hosts)
	}
}

func TestMetrics(t *testing.T) {
	g, _ := newGateway(t)
	c := newClient(t, g, "allow a.example.com")
	c.run("update 192.0.2.1")
	c.run("update 192.0.2.1")
	c.run("frob")
	c.in = strings.NewReader("10.0.0.1\n")
	c.run("update -")
	out, status := newClient(t, g, "admin").run("metrics")
	if status != 0 {
		t.Errorf("%d, %s", status, out)
	}
	for _, want := range []string{
		`dnsgate_commands_total{command="update",code="good"} 1`,
		`dnsgate_commands_total{command="update",code="nochg"} 1`,
		`dnsgate_commands_total{command="update",code="badaddr"} 1`,
		`dnsgate_commands_total{command="unknown",code="badcmd"} 1`,
		`dnsgate_store_revision 1`,
		`dnsgate_hosts 1`,
		`dnsgate_publisher_revision{publisher="test"} 0`,
	} {
		if !strings.Contains(out, "\n"+want+"\n") {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}
