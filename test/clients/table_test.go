package clients_test

import (
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"dnsgate/test/rig"
)

// matrix collects what works.
type matrix struct {
	mu    sync.Mutex
	cells map[string]bool // way and key, as cell names them
}

func cell(client, variant, key string) string { return client + "/" + variant + "/" + key }

func (m *matrix) set(w way, key string, works bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cells[cell(w.client, w.variant, key)] = works
}

// all tells whether every key works whose name begins like this; "-sk" stands
// for the security keys.
func (m *matrix) all(client, variant, like string) bool {
	for _, k := range keyTypes {
		matches := strings.HasPrefix(k.name, like) && !k.security() || like == "-sk" && k.security()
		if matches && !m.cells[cell(client, variant, k.name)] {
			return false
		}
	}
	return true
}

// table is that of README.md, without its last column: a row for each client.
func (m *matrix) table(ways []way) map[string]string {
	yes := map[bool]string{true: "yes", false: "no"}
	rows := make(map[string]string)
	for _, w := range ways {
		if w.variant != "" {
			continue
		}
		security := yes[m.all(w.client, "", "-sk") || m.all(w.client, withSecurityKey, "-sk")]
		if security == "no" && m.all(w.client, byAgent, "-sk") {
			security = "by agent"
		}
		agent := m.all(w.client, byAgent, "ed25519") && m.all(w.client, byAgent, "ecdsa") && m.all(w.client, byAgent, "rsa")
		rows[w.client] = strings.Join([]string{
			yes[m.all(w.client, "", "ed25519")], yes[m.all(w.client, "", "ecdsa")], yes[m.all(w.client, "", "rsa")], security, yes[agent],
		}, " | ")
	}
	return rows
}

// compare checks the rows against those of the section Clients of README.md.
func compare(t *testing.T, rows map[string]string) {
	t.Helper()
	text, err := os.ReadFile(rig.Source(t, "README.md"))
	rig.Must(t, err)
	_, section, found := strings.Cut(string(text), "\n## Clients\n")
	if !found {
		t.Fatal("README.md has no section Clients")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for client, row := range rows {
		line := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(client) + ` [0-9.]+ \| ` + regexp.QuoteMeta(row) + ` \|.*$`)
		if !line.MatchString(section) {
			t.Errorf("README.md, Clients: it is\n| %s VERSION | %s |", client, row)
		}
	}
	if got := strings.Count(section, "\n| "); got != len(rows)+2 {
		t.Errorf("README.md, Clients: the table has %d lines, want %d", got, len(rows)+2)
	}
}
