//go:build !client

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dnsgate/test/etcd"
	"dnsgate/test/rig"
)

// shareStore has g keep its records in a cluster, below /several/.
func (g *victim) shareStore(t *testing.T, c *etcd.Cluster, name string) {
	t.Helper()
	edit(t, filepath.Join(g.dir, configName), `store = "bolt"`, `store = "etcd"`, "#[etcd]", "[etcd]",
		`#endpoints = ["https://a.example.com:2379"]`, `endpoints = ["`+strings.Join(c.URLs(), `", "`)+`"]`,
		`#prefix = "/dnsgate/"`, `prefix = "/several/"`, `#name = ""`, `name = "`+name+`"`)
}

// shareKeys gives g the authorized keys of another gateway.
func (g *victim) shareKeys(t *testing.T, other *victim) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(other.dir, "authorized_keys"))
	if err == nil {
		err = os.WriteFile(filepath.Join(g.dir, "authorized_keys"), content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	g.admin = other.admin
}

// TestSeveralGateways: any takes any update, each publishes all, a backup moves
// from one kind of store to the other and back, and what etcd holds is refused
// where it should be.
func TestSeveralGateways(t *testing.T) {
	cluster := etcd.Start(t, 1, "--unsafe-no-fsync")
	old := newVictim(t)
	key := old.authorize(t, "."+victimZone)
	old.start(t)
	old.say(t, key, "update h0."+victimZone+" 198.51.100.9")
	fromBolt := old.run(t, "backup")

	var gates []*victim
	for i := range 2 {
		g := newVictimOf(t, old.binary)
		g.shareStore(t, cluster, fmt.Sprintf("gate%d", i))
		g.shareKeys(t, old)
		gates = append(gates, g)
	}
	config := filepath.Join(gates[0].dir, configName)
	restore := func(binary, config, backup string) string {
		c := exec.Command(binary, "restore", "--config", config)
		c.Stdin = strings.NewReader(backup)
		out, _ := c.CombinedOutput()
		return string(out)
	}
	if out := restore(old.binary, config, fromBolt); !strings.Contains(out, "restored into etcd /several/") {
		t.Fatalf("restoring: %s", out)
	}
	if out := restore(old.binary, config, fromBolt); !strings.Contains(out, "not empty") {
		t.Errorf("restoring again: %s", out)
	}
	must(t, exec.Command(old.binary, "check", "--config", config), "")
	must(t, exec.Command(old.binary, "check", "--live", "--config", config), "")
	away := filepath.Join(gates[0].dir, "away.toml")
	content, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(away, []byte(strings.Replace(string(content), "endpoints = [", `endpoints = ["http://127.0.0.1:1", `, 1)), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	must(t, exec.Command(old.binary, "check", "--config", away), "")
	if out, _ := exec.Command(old.binary, "check", "--live", "--config", away).Output(); strings.Count(string(out), "endpoint ") != 1 ||
		!strings.Contains(string(out), "etcd.endpoints: endpoint http://127.0.0.1:1: ") {
		t.Errorf("of an endpoint that is away: %s", out)
	}
	for _, g := range gates {
		g.start(t)
	}
	for i := range 20 {
		host, address := fmt.Sprintf("h%d.%s", i, victimZone), fmt.Sprintf("198.51.100.%d", i)
		by, other := gates[i%2], gates[1-i%2]
		if out, _ := by.say(t, key, "update "+host+" "+address); out != "good "+address+" "+host+"\n" {
			t.Fatalf("%s: %s", host, out)
		}
		if got := by.served(host); got != address {
			t.Errorf("after good, data.cdb has %q for %s", got, host)
		}
		rig.Within(t, 30*time.Second, "the other gateway publishes it", func() bool { return other.served(host) == address })
		if out, _ := other.say(t, key, "update "+host+" "+address); out != "nochg "+address+" "+host+"\n" {
			t.Errorf("%s again: %s", host, out)
		}
	}
	rig.Within(t, 30*time.Second, "each gateway shows both, and one keeper", func() bool {
		status := gates[0].run(t, "status")
		return strings.Contains(status, "gateway gate0: this one") && strings.Contains(status, "gateway gate1: dnsgate") &&
			strings.Count(status, "keeper") == 1 && !strings.Contains(status, "warning")
	})
	gates[1].authorize(t, "other."+victimZone)
	rig.Within(t, 30*time.Second, "a difference of their keys is seen", func() bool {
		return strings.Count(gates[0].run(t, "status"), "not all gateways have the same authorized keys") == 2
	})
	a, b := gates[0].run(t, "backup"), gates[1].run(t, "backup")
	if a != b || a == fromBolt {
		t.Errorf("the backups differ:\n%s\n%s", a, b)
	}
	history := gates[1].run(t, "history h0."+victimZone)
	if strings.Count(history, "\n") != 2 || !strings.Contains(history, "198.51.100.9 198.51.100.0") {
		t.Errorf("history of both stores: %s", history)
	}

	back := newVictimOf(t, old.binary)
	back.admin = back.authorize(t, "--admin")
	if out := restore(old.binary, filepath.Join(back.dir, configName), a); !strings.Contains(out, "restored into") {
		t.Fatalf("restoring: %s", out)
	}
	back.start(t)
	if got := back.run(t, "backup"); got != a {
		t.Errorf("bolt has\n%s\netcd had\n%s", got, a)
	}
}
