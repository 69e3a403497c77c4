//go:build !client

package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport is the table of the architecture: which of our own packages each
// shipped package may import, and so which way data may travel. cmd/dnsgate
// wires all. What is below test/ is not shipped: it may import anything, and
// nobody else may import it.
var mayImport = map[string]string{
	"internal/algorithms":        "",
	"internal/confine":           "",
	"internal/durable":           "",
	"internal/idn":               "",
	"internal/pause":             "",
	"internal/plain":             "",
	"internal/sysexits":          "",
	"internal/tinydns":           "",
	"internal/watch":             "internal/durable",
	"internal/push":              "internal/algorithms internal/idn internal/pause internal/plain internal/sysexits",
	"internal/config":            "internal/durable internal/idn internal/plain",
	"internal/records":           "internal/idn internal/plain",
	"internal/records/memory":    "internal/records",
	"internal/records/boltstore": "internal/records internal/records/memory internal/durable",
	"internal/records/etcdstore": "internal/records internal/records/memory internal/durable internal/pause",
	"internal/heard":             "internal/records internal/durable",
	"internal/screen":            "",
	"internal/migrate":           "internal/records internal/tinydns",
	"internal/authkeys":          "internal/records internal/watch internal/durable internal/plain",
	"internal/publish":           "internal/records internal/pause",
	"internal/publish/datafile":  "internal/publish internal/records internal/tinydns internal/watch internal/durable internal/pause",
	"internal/publish/rfc2136":   "internal/publish internal/records",
	"internal/follow":            "internal/algorithms internal/authkeys internal/records internal/pause internal/plain",
	"internal/command":           "internal/authkeys internal/follow internal/records internal/idn internal/pause internal/plain internal/screen internal/sysexits",
	"internal/gate":              "internal/algorithms internal/authkeys internal/command internal/plain internal/screen",
	"internal/control":           "internal/authkeys internal/command internal/screen internal/sysexits",
	"hooks":                      "",
	"cmd/dnsgate":                anything,
}

const anything = "anything"

// onlyImporters says which packages of ours may import a library, or a package
// of it.
var onlyImporters = map[string][]string{
	"github.com/charmbracelet":            {"internal/screen"},
	"charm.land":                          {"internal/screen"},
	"github.com/fsnotify/fsnotify":        {"internal/watch"},
	"github.com/gliderlabs/ssh":           {"internal/gate"},
	"github.com/landlock-lsm/go-landlock": {"internal/confine"},
	"github.com/miekg/dns":                {"internal/publish/datafile", "internal/publish/rfc2136", "internal/migrate"},
	"github.com/pelletier/go-toml":        {"internal/config"},
	"github.com/spf13/cobra":              {"cmd/dnsgate"},
	"go.etcd.io/bbolt":                    {"internal/records/boltstore"},
	"google.golang.org/grpc":              {"internal/records/etcdstore"},
	"go.uber.org/zap":                     {"internal/records/etcdstore"},
	"go.etcd.io/etcd":                     {"internal/records/etcdstore"},
	"golang.org/x/net":                    {"internal/idn"},
	"dnsgate/internal/records/boltstore":  {"cmd/dnsgate"},
	"dnsgate/internal/records/etcdstore":  {"cmd/dnsgate"},
	"dnsgate/test":                        {},
}

func TestPackagesImportOnlyWhatStandsBelow(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{if .GoFiles}}{{.ImportPath}} {{join .Imports " "}}{{end}}`, "dnsgate/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		name := strings.TrimPrefix(words[0], "dnsgate/")
		if strings.HasPrefix(name, "test/") {
			continue
		}
		allowed, listed := mayImport[name]
		if !listed {
			t.Errorf("%s is not in this table: say there what it may import, and in ARCHITECTURE what it is", name)
		}
		for _, imported := range words[1:] {
			for library, owners := range onlyImporters {
				within := imported == library || strings.HasPrefix(imported, library+"/")
				if within && !slices.Contains(owners, name) {
					t.Errorf("%s imports %s; only %v may", name, imported, owners)
				}
			}
			ours, isOurs := strings.CutPrefix(imported, "dnsgate/")
			if isOurs && allowed != anything && !slices.Contains(strings.Fields(allowed), ours) {
				t.Errorf("%s imports %s, which is not below it", name, ours)
			}
		}
	}
}
