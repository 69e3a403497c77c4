package datafile

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"dnsgate/internal/durable"
	"dnsgate/internal/records"
	"dnsgate/test/publishing"
)

// A file that holds an operator's zone is not replaced, however it is named.
func TestAnOperatorsZoneIsNotReplaced(t *testing.T) {
	long := "'t.example.com:" + strings.Repeat("Z", 70000) + "\n"
	for _, c := range []struct{ text, says string }{
		{zone, `data:1: dnsgate never writes a "." line`},
		{"# mine\n+a.example.com:192.0.2.1\n" + long + "Zexample.com:a:b\n", `data:4: dnsgate never writes a "Z" line`},
		{"+a.example.com:192.0.2.1\n" + long + ":a.example.com:28:x\n3a.example.com:0\n6b.example.com:0\n-c.example.com\n", ""},
		{"", ""},
	} {
		root := t.TempDir()
		path := filepath.Join(root, "data")
		write(t, path, c.text)
		o := Options{Root: root, Write: "file", Path: "data", Sources: []string{"*"}, Logger: publishing.Quiet()}
		faults, _ := Check(o, nil, durable.AccountOf(root))
		target := newTarget(t, o)
		err := target.Publish(context.Background(), []records.Host{hostWith("h.example.com", "203.0.113.4")}, true)
		if c.says == "" {
			if err != nil || len(faults) > 0 {
				t.Errorf("%.30q: %v, %v", c.text, err, faults)
			}
			continue // and is replaced
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || len(faults) == 0 || !strings.Contains(faults[0].Error(), c.says) {
			t.Errorf("%.30q: %v, %v", c.text, err, faults)
		}
		if read(t, path) != c.text {
			t.Errorf("%.30q was changed", c.text)
		}
	}
}
