package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport is the table of the architecture: which of our own packages each
// package may import, and so which way data may travel.
var mayImport = map[string]string{
	"internal/records":  "internal/durable",
	"internal/durable":  "",
	"internal/watch":    "",
	"internal/tinydns":  "",
	"internal/config":   "",
	"internal/confine":  "",
	"internal/push":     "",
	"internal/migrate":  "internal/records internal/tinydns",
	"internal/authkeys": "internal/records internal/watch internal/durable",
	"internal/command":  "internal/authkeys internal/records",
	"internal/publish":  "internal/records internal/tinydns internal/watch internal/durable",
	"internal/gate":     "internal/authkeys internal/command",
}

// onlyImporters says which packages of ours may import a library.
var onlyImporters = map[string][]string{
	"github.com/gliderlabs/ssh": {"internal/gate"},
	"go.etcd.io/bbolt":          {"internal/records"},
	"github.com/miekg/dns":      {"internal/publish", "internal/migrate"},
}

func TestPackagesImportOnlyWhatStandsBelow(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "dnsgate/cmd/...", "dnsgate/internal/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		name := strings.TrimPrefix(words[0], "dnsgate/")
		allowed, listed := mayImport[name]
		for _, imported := range words[1:] {
			if owners, few := onlyImporters[imported]; few && listed && !slices.Contains(owners, name) {
				t.Errorf("%s imports %s; only %v may", name, imported, owners)
			}
			ours, isOurs := strings.CutPrefix(imported, "dnsgate/")
			if isOurs && listed && !slices.Contains(strings.Fields(allowed), ours) {
				t.Errorf("%s imports %s, which is not below it", name, ours)
			}
		}
	}
}
