package hooks_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// TestReadme checks that README.md has each key of push.conf, and each with the
// default that the script has.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	rig.Must(t, err)
	script, err := os.ReadFile("dnsgate-push")
	rig.Must(t, err)

	_, table, _ := strings.Cut(string(readme), "| key | value | default |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| .* \\| (.*) \\|$").FindAllStringSubmatch(table, -1) {
		key, value := row[1], strings.Trim(row[2], "`")
		documented = append(documented, key)
		if value == "none" || strings.Contains(value, " ") { // said in words
			value = "''"
		}
		if !regexp.MustCompile(`(?m)(^|\s)` + key + `=` + regexp.QuoteMeta(value) + `(\s|$)`).Match(script) {
			t.Errorf("the script's default of %s is not %s", key, value)
		}
	}

	_, words, _ := strings.Cut(string(script), "\nset_value() {")
	words, _, _ = strings.Cut(words, "\n}\n\nset_source()")
	known := []string{"acme_alias", "address", "address6", "hosts"}
	for _, arm := range regexp.MustCompile(`(?m)^\t([a-z0-9_]+)\) ([a-z0-9_]+)=`).FindAllStringSubmatch(words, -1) {
		known = append(known, arm[1])
	}
	slices.Sort(known)
	slices.Sort(documented)
	if !slices.Equal(known, documented) {
		t.Errorf("the script knows %q, README.md %q", known, documented)
	}
}
