// Package manual_test checks the manual pages as packages have them: rendered
// from docs/man, with flags and keys taken from the program. Their examples are
// run by test/packages, on a machine where the packages are installed.
package manual_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const top = "../.."

// pages are all that there are.
var pages = []string{
	"dnsgate.1", "dnsgate.8", "dnsgate.toml.5", "dnsgate_authorized_keys.5", "dnsgate_commands.7",
	"dnsgate-push.1", "dnsgate-push.conf.5",
}

func TestManual(t *testing.T) {
	dnsgate := filepath.Join(t.TempDir(), "dnsgate")
	do(t, top, "go", "build", "-o", dnsgate, "./cmd/dnsgate")
	folder, again := t.TempDir(), t.TempDir()
	for _, out := range []string{folder, again} {
		do(t, filepath.Join(top, "packaging"), "go", "run", "./manual", "..", dnsgate, "1.0", "2026-11-28", out)
	}
	made, err := filepath.Glob(folder + "/*")
	if err != nil || len(made) != len(pages) {
		t.Fatalf("%d pages were made of %d: %v", len(made), len(pages), err)
	}
	text := make(map[string]string)
	for _, page := range pages {
		text[page] = read(t, filepath.Join(folder, page))
		if text[page] != read(t, filepath.Join(again, page)) {
			t.Errorf("%s differs from run to run", page)
		}
	}
	for _, page := range pages {
		for _, section := range []string{"NAME", "DESCRIPTION", "EXAMPLES", "FILES", "EXIT STATUS", "SEE ALSO"} {
			if !strings.Contains(text[page], "\n.SH "+section+"\n") {
				t.Errorf("%s has no section %s", page, section)
			}
		}
		if strings.Contains(text[page], "<!--") {
			t.Errorf("%s: something is not filled in", page)
		}
		references(t, page, text[page])
	}
	for _, unit := range []string{"dist/dnsgate.service", "dist/dnsgate.socket", "hooks/systemd/dnsgate-push.service"} {
		references(t, unit, read(t, filepath.Join(top, unit)))
	}
	lint(t, folder)
	options(t, dnsgate, text)
	for _, key := range regexp.MustCompile(`(?m)^#?([a-z0-9_]+) = `).FindAllStringSubmatch(read(t, top+"/internal/config/dnsgate.toml"), -1) {
		if !strings.Contains(text["dnsgate.toml.5"], `\fB`+key[1]+`\fP = `) {
			t.Errorf("dnsgate.toml(5) does not have %s", key[1])
		}
	}
	example := read(t, top+"/dist/push.conf")
	for _, key := range pushKeys(t) {
		if !strings.Contains(text["dnsgate-push.conf.5"], "\n.TP\n"+`\fB`+key+`\fP`+"\n") {
			t.Errorf("dnsgate-push.conf(5) does not have %s", key)
		}
		if !regexp.MustCompile(`(?m)^#?` + key + ` `).MatchString(example) {
			t.Errorf("dist/push.conf does not have %s", key)
		}
	}
}

// pushKeys are those of push.conf, which a test in hooks holds against the script.
func pushKeys(t *testing.T) (keys []string) {
	t.Helper()
	_, table, _ := strings.Cut(read(t, top+"/hooks/README.md"), "| key | value | default |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(table, -1) {
		keys = append(keys, row[1])
	}
	if len(keys) < 10 {
		t.Fatalf("hooks/README.md has the keys %q", keys)
	}
	return keys
}

var reference = regexp.MustCompile(`\b(dnsgate[a-z_.\\-]*)\(([1-8])\)`)

// references checks that each page of ours which text speaks of is there.
func references(t *testing.T, page, text string) {
	t.Helper()
	for _, r := range reference.FindAllStringSubmatch(text, -1) {
		name := strings.ReplaceAll(r[1], `\`, "") + "." + r[2]
		if !slices.Contains(pages, name) {
			t.Errorf("%s speaks of %s, which there is not", page, r[0])
		}
	}
}

func lint(t *testing.T, folder string) {
	t.Helper()
	if _, err := exec.LookPath("mandoc"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Log(err)
		return
	}
	for _, page := range pages {
		if out, err := exec.Command("mandoc", "-Tlint", "-Wstyle", filepath.Join(folder, page)).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("mandoc: %v\n%s", err, out)
		}
	}
}

// option is a flag in what a program says of itself.
var option = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z0-9-]+)`)

// options checks that no page lacks an option of its program.
func options(t *testing.T, dnsgate string, text map[string]string) {
	t.Helper()
	for _, flags := range commands(t, dnsgate) {
		for _, flag := range option.FindAllStringSubmatch(flags, -1) {
			if flag[1] != "help" && flag[1] != "version" && !strings.Contains(text["dnsgate.1"], `--`+flag[1]) {
				t.Errorf("dnsgate(1) does not have --%s", flag[1])
			}
		}
	}
	script := do(t, top, "sh", "hooks/dnsgate-push", "--help")
	for _, flag := range append(option.FindAllStringSubmatch(script, -1), option.FindAllStringSubmatch(do(t, top, dnsgate, "help", "push"), -1)...) {
		if flag[1] != "help" && !strings.Contains(text["dnsgate-push.1"], `--`+flag[1]) {
			t.Errorf("dnsgate-push(1) does not have --%s", flag[1])
		}
	}
}

// commands returns the help of each command and subcommand.
func commands(t *testing.T, dnsgate string, command ...string) []string {
	t.Helper()
	help := do(t, top, dnsgate, append([]string{"help"}, command...)...)
	all := []string{help}
	_, list, _ := strings.Cut(help, "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for _, sub := range regexp.MustCompile(`(?m)^  (\S+)`).FindAllStringSubmatch(list, -1) {
		all = append(all, commands(t, dnsgate, append(slices.Clone(command), sub[1])...)...)
	}
	return all
}

func do(t *testing.T, folder, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = folder
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
