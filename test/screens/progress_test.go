package screens

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// slowly has strace hold each read of a program back, so that little work takes long.
const slowly = "strace -f -qq -o /dev/null -e trace=read -e inject=read:delay_enter=100ms "

var bar = regexp.MustCompile(`\[#+-+\] +\d+%  \d+\.\d MB/s  \d+s left`)

// Long work on this machine shows on a terminal how far it has come, and nothing
// elsewhere.
func TestProgress(t *testing.T) {
	rig.Needs(t, "tmux", "strace")
	g := rig.NewGateway(t, "example.com")
	rig.Write(t, g.Path("backup"), rig.Backup(t, 8_000, "host%d.example.com"), 0o644)
	var data strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&data, "+host%d.example.com:203.0.113.7:300\n", i)
	}
	rig.Write(t, g.Path("root", "data"), data.String(), 0o644)
	compile := slowly + g.Program + " compile -C " + g.Path("root")
	restore := slowly + g.Program + " restore " + g.Config() + " <" + g.Path("backup")
	for command, result := range map[string]string{compile: filepath.Join("root", "data.cdb"), restore: "state"} {
		s := sit(t, 80, 24, command)
		s.shows("a bar with the rate and the time left", bar.MatchString)
		if screen := s.sees("ended with 0"); strings.Contains(screen, "MB/s") {
			t.Errorf("the bar stays:\n%s", screen)
		}
		rig.Must(t, os.RemoveAll(g.Path(result)))
		if out := rig.Command(t, "sh", "-c", command); strings.Contains(out, "MB") {
			t.Errorf("without a terminal: %q", out)
		}
	}
}
