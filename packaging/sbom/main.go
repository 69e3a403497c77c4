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
		licence := licenceOf(m.Path)
		if licence == "" {
			return fmt.Errorf("the licence of %s is not in the table: read it, and add it to packaging/sbom/licences.go", m.Path)
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

// licenceText is what the module's own files say, notices included.
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
	var texts []string
	for _, name := range []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "License", "COPYING", "NOTICE", "NOTICE.txt"} {
		if text, err := os.ReadFile(filepath.Join(folder, name)); err == nil {
			texts = append(texts, strings.TrimSpace(string(text)))
		}
	}
	if texts == nil {
		return "", fmt.Errorf("%s has no licence file", m.Path)
	}
	return strings.Join(texts, "\n\n"), nil
}
