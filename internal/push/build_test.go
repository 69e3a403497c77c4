package push

import (
	"os"
	"os/exec"
	"testing"
)

// TestBuildsElsewhere compiles what it can for the systems that it cannot be
// tried on here: this package, and for the processors of small routers, whose
// numbers have 32 bits, the whole program.
func TestBuildsElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles much of the standard library")
	}
	t.Parallel()
	for _, c := range []struct{ system, processor, program string }{
		{"windows", "amd64", "."},
		{"darwin", "arm64", "."},
		{"linux", "arm", "dnsgate/cmd/dnsgate"},
	} {
		cmd := exec.Command("go", "build", "-o", os.DevNull, c.program)
		cmd.Env = append(os.Environ(), "GOOS="+c.system, "GOARCH="+c.processor, "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s on %s: %v\n%s", c.system, c.processor, err, out)
		}
	}
}
