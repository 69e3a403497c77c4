// Command sbom says what is in a program: as CycloneDX, and as one text with
// the licence of each module. It trusts what the Go toolchain wrote into the
// program, and the module cache; a module whose licence nobody has read is an
// error.
//
// usage: sbom PROGRAM NAME VERSION TIME SBOM LICENCES     TIME as 2026-11-28T00:00:00Z
package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// licences are SPDX expressions, read by a person in each module's own files.
var licences = map[string]string{
	"github.com/anmitsu/go-shlex":                   "MIT",
	"github.com/coreos/go-systemd/v22":              "Apache-2.0",
	"github.com/fsnotify/fsnotify":                  "BSD-3-Clause",
	"github.com/gliderlabs/ssh":                     "BSD-3-Clause",
	"github.com/inconshreveable/mousetrap":          "Apache-2.0",
	"github.com/landlock-lsm/go-landlock":           "MIT",
	"github.com/miekg/dns":                          "BSD-3-Clause",
	"github.com/pelletier/go-toml/v2":               "MIT",
	"github.com/spf13/cobra":                        "Apache-2.0",
	"github.com/spf13/pflag":                        "BSD-3-Clause",
	"go.etcd.io/bbolt":                              "MIT",
	"golang.org/x/crypto":                           "BSD-3-Clause",
	"golang.org/x/net":                              "BSD-3-Clause",
	"golang.org/x/sys":                              "BSD-3-Clause",
	"golang.org/x/text":                             "BSD-3-Clause",
	"kernel.org/pub/linux/libs/security/libcap/psx": "BSD-3-Clause OR GPL-2.0-only",
	"std": "BSD-3-Clause", // the Go standard library and runtime
}

func main() {
	if len(os.Args) != 7 {
		fmt.Fprintln(os.Stderr, "usage: sbom PROGRAM NAME VERSION TIME SBOM LICENCES")
		os.Exit(64)
	}
	if err := run(os.Args[1], document(os.Args[2], os.Args[3], os.Args[4]), os.Args[5], os.Args[6]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(program string, list *bom, sbom, texts string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	modules := []*debug.Module{{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		modules = append(modules, m)
	}
	var text bytes.Buffer
	for _, m := range modules {
		licence, known := licences[m.Path]
		if !known {
			return fmt.Errorf("the licence of %s is not in the table: read it, and add it", m.Path)
		}
		list.Components = append(list.Components, library(m, licence))
		words, err := licenceText(m)
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "== %s %s: %s\n\n%s\n\n", m.Path, m.Version, licence, words)
	}
	encoded, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(sbom, append(encoded, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(texts, text.Bytes(), 0o644)
}

// licenceText is what the module's own files say.
func licenceText(m *debug.Module) (string, error) {
	folder := ""
	if m.Path == "std" {
		out, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return "", err
		}
		folder = strings.TrimSpace(string(out))
	} else {
		out, err := exec.Command("go", "mod", "download", "-json", m.Path+"@"+m.Version).Output()
		if err != nil {
			return "", fmt.Errorf("go mod download %s: %w", m.Path, err)
		}
		var module struct{ Dir string }
		if err := json.Unmarshal(out, &module); err != nil {
			return "", err
		}
		folder = module.Dir
	}
	for _, name := range []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "License", "COPYING"} {
		if text, err := os.ReadFile(filepath.Join(folder, name)); err == nil {
			return strings.TrimSpace(string(text)), nil
		}
	}
	return "", fmt.Errorf("%s has no licence file", m.Path)
}
