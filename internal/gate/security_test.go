package gate_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityPage wants SECURITY.md to name tests that there are, and every
// limit of the configuration with its default.
func TestSecurityPage(t *testing.T) {
	content, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	tests := testNames(t, "../..")
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`").FindAllStringSubmatch(page, -1)
	if len(named) < 50 {
		t.Errorf("it names %d tests", len(named))
	}
	for _, name := range named {
		if !tests[name[1]] {
			t.Errorf("there is no %s", name[1])
		}
	}
	template, err := os.ReadFile("../config/dnsgate.toml")
	if err != nil {
		t.Fatal(err)
	}
	_, limits, _ := strings.Cut(string(template), "\n[limits]")
	limits, _, _ = strings.Cut(limits, "\n[tinydns]")
	keys := regexp.MustCompile(`(?m)^(\w+) = ("[^"]*"|\[[^\]]*\]|\w+)`).FindAllStringSubmatch(limits, -1)
	if len(keys) < 10 {
		t.Errorf("%d limits", len(keys))
	}
	for _, key := range keys {
		if !strings.Contains(page, "| `"+key[1]+"` | `"+key[2]+"` | ") {
			t.Errorf("no row for %s = %s", key[1], key[2])
		}
	}
}

// testNames are the tests and fuzz targets below folder.
func testNames(t *testing.T, folder string) map[string]bool {
	names := make(map[string]bool)
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		for _, name := range declared.FindAllSubmatch(content, -1) {
			names[string(name[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
