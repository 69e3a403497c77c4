package push

import (
	"os"
	"os/exec"
	"testing"
)

// TestBuildsElsewhere compiles this package for the systems that it cannot be
// tried on here.
func TestBuildsElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles much of the standard library")
	}
	t.Parallel()
	for _, system := range []string{"windows", "darwin"} {
		cmd := exec.Command("go", "build", ".")
		cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", system, err, out)
		}
	}
}
