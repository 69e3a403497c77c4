package push

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"dnsgate/internal/plain"
)

// Talk writes each message where it belongs.
//
//   - error: a person must mend something. To Err; from the background, to the
//     system log.
//   - outcome: the gateway's answers, and failures that may pass. To Err if
//     Verbose or Service, else to the system log.
//   - step: to Err if Verbose.
//
// Whole replies go to Out if Verbose. If Quiet, nothing is said. Its methods
// may be called at any time.
type Talk struct {
	Out, Err io.Writer
	Verbose  bool
	Service  bool // a message that repeats the last one is left out
	Quiet    bool

	detached bool
	mu       sync.Mutex
	last     string
}

const messagePrefix = "dnsgate push: "

func (t *Talk) background() { t.detached, t.Verbose = true, false }

// Error tells a person what to mend.
func (t *Talk) Error(err error) { t.say(true, t.detached, err.Error()) }

func (t *Talk) outcome(format string, args ...any) {
	t.say(false, !t.Verbose && !t.Service, fmt.Sprintf(format, args...))
}

func (t *Talk) step(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Verbose && !t.Quiet {
		fmt.Fprintln(t.Err, messagePrefix+plain.ASCII(fmt.Sprintf(format, args...)))
	}
}

func (t *Talk) say(urgent, toLog bool, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text = plain.ASCII(text)
	switch {
	case t.Quiet, t.Service && !t.Verbose && text == t.last:
	case toLog:
		systemLog(urgent, text)
	default:
		fmt.Fprintln(t.Err, messagePrefix+text)
	}
	t.last = text
}

// reply shows what the gateway acknowledged.
func (t *Talk) reply(lines []string) {
	if t.Verbose && !t.Quiet {
		fmt.Fprintln(t.Out, strings.Join(lines, "\n"))
	} else {
		t.outcome("%s", strings.Join(lines, ";"))
	}
}

// inWords is a duration in whole seconds, as people say it.
func inWords(d time.Duration) string {
	if n := int(d.Seconds()); n != 1 {
		return fmt.Sprintf("%d seconds", n)
	}
	return "1 second"
}
