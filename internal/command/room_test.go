package command

import "testing"

// A key with a pattern cannot fill the store, and not keep others' names out.
func TestMaxHosts(t *testing.T) {
	g, _ := newGateway(t)
	most := 3
	g.MaxHosts = func() int { return most }
	pattern := newClient(t, g, "allow --acme .lab.example.com")
	exact := newClient(t, g, "allow --acme home.example.com *.other.example.com")
	for _, host := range []string{"a", "b", "c"} {
		pattern.expect(0, "update "+host+".lab.example.com 192.0.2.1", "good ...")
	}
	const full = "911 d.lab.example.com would be a new name, and the gateway has as many as it may, 3; its operator can raise max_hosts"
	pattern.expect(75, "update d.lab.example.com 192.0.2.1", full)
	pattern.expect(75, "update a.lab.example.com d.lab.example.com 192.0.2.2", full)
	pattern.expect(75, "acme add a.lab.example.com token", "911 _acme-challenge.a.lab.example.com would be ...")
	pattern.expect(0, "list", "a.lab... 192.0.2.1", "b.lab...", "c.lab...")
	pattern.expect(0, "update a.lab.example.com 192.0.2.2", "good ...")
	pattern.expect(0, "offline d.lab.example.com", "nochg - d.lab.example.com")

	exact.expect(0, "update 192.0.2.1", "good ...", "good ...")
	exact.expect(0, "acme add home.example.com token", "good home.example.com")

	pattern.expect(0, "offline b.lab.example.com", "good ...") // its name is still known
	pattern.expect(75, "update d.lab.example.com 192.0.2.1", full)
	pattern.expect(0, "update b.lab.example.com 192.0.2.1", "good ...")
	most = 7
	pattern.expect(0, "update d.lab.example.com 192.0.2.1", "good ...")
}
