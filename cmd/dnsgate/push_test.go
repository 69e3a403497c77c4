package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPushUsage checks what is said of arguments before anything is read, and
// the status of a bad file. internal/push tests the rest, with this program.
func TestPushUsage(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "push.conf")
	if err := os.WriteFile(conf, []byte("colour red\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args   string
		status int
	}{
		{"", exConfig},
		{"203.0.113.7", exConfig},
		{"--now", exUsage},
		{"--retry", exUsage},
		{"--retry=", exUsage},
		{"--on= 203.0.113.7", exUsage},
		{"203.0.113.7 --force", exUsage},
		{"--peer --interface eth0", exUsage},
		{"--peer 203.0.113.7", exUsage},
		{"--offline 203.0.113.7", exUsage},
		{"--offline --acme add a.example.com x", exUsage},
		{"--acme add a.example.com", exUsage},
		{"--acme add a.example.com x y", exUsage},
		{"--acme= a.example.com x", exUsage},
		{"--acme add a.example.com -x", exConfig},
		{"--watch --detach", exUsage},
		{"--watch --offline", exUsage},
		{"--watch --dry-run", exUsage},
		{"--watch --on eth0", exUsage},
		{"--watch 203.0.113.7", exUsage},
		{"--watch --offer 203.0.113.7", exUsage},
		{"--host home 203.0.113.7", exData},
		{"--host=", exData},
		{"--offer=", exData},
	}
	for _, test := range tests {
		args := append([]string{"push", "-q", "--config", conf}, strings.Fields(test.args)...)
		if got := run(args); got != test.status {
			t.Errorf("dnsgate push %s: status %d, want %d", test.args, got, test.status)
		}
	}
	if got := run([]string{"push", "-q", "--config", "push.conf"}); got != exUsage {
		t.Errorf("a relative path: status %d", got)
	}
}
