package push

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBuildsElsewhere compiles what it can for the systems that it cannot be
// tried on here: this package, and for the processors of small routers, whose
// numbers have 32 bits, the whole program, and the client alone, which has to
// fit there.
func TestBuildsElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles much of the standard library")
	}
	t.Parallel()
	for _, c := range []struct{ system, processor, program, tags string }{
		{"windows", "amd64", ".", ""},
		{"darwin", "arm64", ".", ""},
		{"linux", "arm", "dnsgate/cmd/dnsgate", ""},
		{"linux", "mipsle", "dnsgate/cmd/dnsgate", "client"},
	} {
		program := filepath.Join(t.TempDir(), "program")
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-tags="+c.tags, "-o", program, c.program)
		cmd.Env = append(os.Environ(), "GOOS="+c.system, "GOARCH="+c.processor, "GOMIPS=softfloat", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s on %s: %v\n%s", c.system, c.processor, err, out)
			continue
		}
		if info, err := os.Stat(program); c.tags == "client" && (err != nil || info.Size() > 6e6) {
			t.Errorf("the client of a small router has %d bytes, more than 6 MB: %v", info.Size(), err)
		}
	}
}
