package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The gateway under test has the timer slack that its unit asks for, and the
// others the kernel's.
func TestTimerSlack(t *testing.T) {
	unit, err := os.ReadFile("../../dist/dnsgate.service")
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`(?m)^TimerSlackNSec=(.*)$`).FindSubmatch(unit)
	if asked == nil || string(asked[1]) != timerSlack.String() {
		t.Errorf("the unit asks for %q, and the load test for %s", asked, timerSlack)
	}
	for _, slack := range []time.Duration{timerSlack, 0} {
		p, err := startWithSlack(slack, t.TempDir(), "sleep", "60")
		if err != nil {
			t.Fatal(err)
		}
		defer p.stop()
		got, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", p.cmd.Process.Pid))
		if err != nil {
			t.Skip(err) // it takes root
		}
		want := fmt.Sprint(slack.Nanoseconds())
		if slack == 0 {
			own, _ := os.ReadFile("/proc/self/timerslack_ns")
			want = strings.TrimSpace(string(own))
		}
		if strings.TrimSpace(string(got)) != want {
			t.Errorf("%s ns, want %s", got, want)
		}
	}
}
