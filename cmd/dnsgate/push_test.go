package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dnsgate/internal/sysexits"
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
		{"", sysexits.Config},
		{"203.0.113.7", sysexits.Config},
		{"--now", sysexits.Usage},
		{"--retry", sysexits.Usage},
		{"--retry=", sysexits.Usage},
		{"--on= 203.0.113.7", sysexits.Usage},
		{"203.0.113.7 --force", sysexits.Usage},
		{"--peer --interface eth0", sysexits.Usage},
		{"--peer 203.0.113.7", sysexits.Usage},
		{"--offline 203.0.113.7", sysexits.Usage},
		{"--offline --acme add a.example.com x", sysexits.Usage},
		{"--acme add a.example.com", sysexits.Usage},
		{"--acme add a.example.com x y", sysexits.Usage},
		{"--acme= a.example.com x", sysexits.Usage},
		{"--acme add a.example.com -x", sysexits.Config},
		{"--watch --detach", sysexits.Usage},
		{"--watch --offline", sysexits.Usage},
		{"--watch --dry-run", sysexits.Usage},
		{"--watch --on eth0", sysexits.Usage},
		{"--watch 203.0.113.7", sysexits.Usage},
		{"--watch --offer 203.0.113.7", sysexits.Usage},
		{"--host home 203.0.113.7", sysexits.Data},
		{"--host=", sysexits.Data},
		{"--offer=", sysexits.Data},
	}
	for _, test := range tests {
		args := append([]string{"push", "-q", "--config", conf}, strings.Fields(test.args)...)
		if got := run(args); got != test.status {
			t.Errorf("dnsgate push %s: status %d, want %d", test.args, got, test.status)
		}
	}
	if got := run([]string{"push", "-q", "--config", "push.conf"}); got != sysexits.Usage {
		t.Errorf("a relative path: status %d", got)
	}
}
