package command

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/follow"
	"dnsgate/internal/records"
)

func TestActivity(t *testing.T) {
	var a activity
	began := time.Unix(1_800_000_000, 0)
	for i := range 3 * lastCommands {
		code := Good
		if i%4 == 0 {
			code = NoHost
		}
		a.note(ended{at: began.Add(time.Duration(i) * time.Second / 8), verb: "update", code: code, hosts: fmt.Sprint(i)},
			authkeys.Grant{Fingerprint: "SHA256:a", Comment: "router"}, true)
	}
	list := a.commands()
	if len(list) != lastCommands || list[0].hosts != fmt.Sprint(3*lastCommands-1) || list[0].comment != "router" {
		t.Errorf("%d commands, the newest is %v", len(list), list[0])
	}
	updates, failures := a.rates(began.Add(96 * time.Second))
	if n := len(updates); updates[n-1] != 6 || failures[n-1] != 2 || updates[n-97] != 0 || updates[n-96] != 6 {
		t.Errorf("%v\n%v", updates, failures)
	}
	if u := a.used("SHA256:a"); u.count != 3*lastCommands || u.last.Before(began.Add(95*time.Second)) {
		t.Errorf("%+v", u)
	}
	updates, _ = a.rates(began.Add(time.Hour))
	if strings.Trim(fmt.Sprint(updates), "[0 ]") != "" {
		t.Errorf("of an hour ago: %v", updates)
	}
}

func TestActivityOfMadeUpKeysIsBounded(t *testing.T) {
	var a activity
	for i := range maxRemembered + 1000 {
		a.note(ended{at: time.Now()}, authkeys.Grant{Fingerprint: fmt.Sprint(i)}, false)
	}
	if len(a.uses) > maxRemembered {
		t.Errorf("%d keys are remembered", len(a.uses))
	}
}

// What is kept of a command is short, however long that was.
func TestFirstHosts(t *testing.T) {
	names := []records.Name{"a.example.com", "b.example.com", "c.example.com", "d.example.com", "e.example.com"}
	for n, want := range map[int]string{0: "", 3: "a.example.com,b.example.com,c.example.com", 5: "a.example.com,b.example.com,c.example.com and 2 more"} {
		if got := firstHosts(names[:n]); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// A batch's lines are commands as they happen; the batch is none of its own.
func TestWhatAScreenShows(t *testing.T) {
	g, _ := newGateway(t)
	router := allow(t, "allow a.example.com b.example.com")
	router.Fingerprint, router.Comment = "SHA256:router", "router"
	g.Keys = func() ([]authkeys.Grant, []authkeys.Problem) { return []authkeys.Grant{router}, nil }
	c := newClient(t, g, "allow a.example.com b.example.com")
	c.grant = router
	c.in = strings.NewReader("a.example.com 203.0.113.1\nb.example.com 203.0.113.2\nother.example.com 203.0.113.3\n")
	c.run("update -")
	s := source{&run{interp: g, ctx: t.Context()}}
	now, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range now.Commands {
		got = append(got, e.Name+" "+e.Code+" "+e.Hosts)
	}
	if text := strings.Join(got, "; "); !strings.Contains(text, "update good a.example.com") || !strings.Contains(text, "update nohost") {
		t.Error(text)
	}
	hosts, err := s.Hosts(t.Context())
	if err != nil || len(hosts) != 2 || hosts[0].Who != "router" || hosts[0].Addresses != "203.0.113.1" || hosts[0].Changed.IsZero() {
		t.Errorf("%v, %+v", err, hosts)
	}
	keys, err := s.Keys(t.Context())
	if err != nil || len(keys) != 1 || keys[0].Count != 4 || keys[0].May != "a.example.com b.example.com" {
		t.Errorf("%v, %+v", err, keys)
	}
	d, err := s.Host(t.Context(), "a.example.com")
	if err != nil || len(d.Records) != 1 || len(d.Keys) != 1 || len(d.History) != 1 {
		t.Errorf("%v, %+v", err, d)
	}
}

// The other gateways that share the store stand among the publishers, and what is wrong
// with them.
func TestScreenOfGateways(t *testing.T) {
	g, _ := newGateway(t)
	g.Shared = func() *Shared {
		return &Shared{Node: "http://192.0.2.1:2379", Gateways: []Peer{
			{Name: "a", Here: true, Keys: "x"}, {Name: "b", Keys: "x"}, {Name: "c", Keys: "y"}, {Name: "d", Keys: "x", Clock: -3.25},
		}}
	}
	g.expectOthers(t, "gateway b: ; gateway c: has other authorized keys; gateway d: its clock differs by -3.2 s")
	g.Shared = func() *Shared { return &Shared{} }
	g.expectOthers(t, "etcd: no node answers; updates are 911")
}

// On a follower, its gateway stands there.
func TestScreenOfAFollower(t *testing.T) {
	g, _ := newGateway(t)
	up := follow.Upstream{Address: "192.0.2.1:2222", Connected: true, Revision: 7}
	g.Upstream = func() follow.Upstream { return up }
	g.expectOthers(t, "gateway 192.0.2.1:2222: ")
	up.Connected = false
	g.expectOthers(t, "gateway 192.0.2.1:2222: not connected")
	up.LastError = "connection\nrefused"
	g.expectOthers(t, "gateway 192.0.2.1:2222: connection refused")
}

// expectOthers expects these rows with their errors behind the publishers.
func (in *Interpreter) expectOthers(t *testing.T, want string) {
	t.Helper()
	now, err := source{&run{interp: in, ctx: t.Context()}}.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range now.Publishers[1:] {
		got = append(got, p.Name+": "+p.Error)
	}
	if text := strings.Join(got, "; "); text != want {
		t.Errorf("%q, want %q", text, want)
	}
}
