package confine

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestUnit has systemd-analyze judge the services of dist: 0 is confined to
// nothing, 10 not at all.
func TestUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for _, unit := range []string{"dnsgate.service", "dnsgate-follow.service"} {
		out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "../../dist/"+unit).CombinedOutput()
		found := regexp.MustCompile(`Overall exposure level for ` + unit + `: ([0-9.]+)`).FindSubmatch(out)
		if found == nil {
			t.Fatalf("%v\n%s", err, out)
		}
		score, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil || score >= 1.5 {
			t.Errorf("%s: exposure %s\n%s", unit, found[1], out)
		}
	}
	out, _ := exec.Command(analyze, "verify", "--man=no", "../../dist/dnsgate.service", "../../dist/dnsgate-follow.service", "../../dist/dnsgate.socket").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "dnsgate") && !strings.Contains(line, "is not executable") { // it is not installed
			t.Error(line)
		}
	}
}
